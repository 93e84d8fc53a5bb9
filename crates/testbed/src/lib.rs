//! Throwaway real services for tests, benches and the demo.
