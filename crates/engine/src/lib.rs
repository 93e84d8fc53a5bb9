//! Use cases and the reconciler: no web, no wire types.
