-- What the demo's PostgreSQL holds: an application's roles, and Daypass's own role, which is no superuser.
-- The statements for Daypass are those of docs/providers/postgres.md, "Setting it up".
CREATE ROLE app_reader NOLOGIN;
CREATE ROLE app_writer NOLOGIN;
CREATE ROLE daypass LOGIN CREATEROLE;
GRANT pg_signal_backend TO daypass;
ALTER ROLE daypass PASSWORD '@PASSWORD@';
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE 'GRANT app_reader TO daypass WITH ADMIN TRUE, INHERIT FALSE, SET FALSE';
        EXECUTE 'GRANT app_writer TO daypass WITH ADMIN TRUE, INHERIT FALSE, SET FALSE';
    END IF;
END $$;
CREATE DATABASE orders;
CREATE DATABASE orders_staging;
