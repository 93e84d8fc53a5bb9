//! Parse, check, compile, decide, explain, test and plan an access policy. Pure.
