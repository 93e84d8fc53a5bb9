-- The application's table, with a few rows.
CREATE TABLE orders (id integer PRIMARY KEY, customer text NOT NULL, total numeric(8, 2) NOT NULL, state text NOT NULL);
INSERT INTO orders VALUES
    (1, 'Amal', 19.90, 'paid'), (2, 'Boris', 240.00, 'paid'), (3, 'Chiara', 7.50, 'shipped'), (7, 'Dinesh', 61.25, 'stuck');
GRANT SELECT ON orders TO app_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app_writer;
