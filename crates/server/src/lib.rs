//! HTTP around the engine: API, identity, notifications.
