//! Every statement on Daypass's own tables, on SQLite and on PostgreSQL.
