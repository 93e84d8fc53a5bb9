// PostgreSQL's driver for JDBC.

import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.postgresql.PGConnection;

final class Client {
    private static final String RUNNING =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
                    + " AND query IN ('SELECT pg_sleep(50)', 'SELECT pg_sleep(4)')";

    private interface Work {
        void run() throws Exception;
    }

    private static String env(String name) {
        return System.getenv("DAYPASS_" + name);
    }

    /** `what` is JSON. */
    private static void saw(String check, String what) {
        System.out.println("{\"check\": \"" + check + "\", \"saw\": " + what + "}");
    }

    private static String quoted(String word) {
        return "\"" + word.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }

    private static Connection connectAs(String user, String ca, String... more) throws SQLException {
        var how = new Properties();
        how.setProperty("user", user);
        how.setProperty("password", env("PASSWORD"));
        how.setProperty("sslmode", "verify-full");
        how.setProperty("sslrootcert", ca);
        how.setProperty("channelBinding", "require");
        for (int i = 0; i < more.length; i += 2) {
            how.setProperty(more[i], more[i + 1]);
        }
        var database = env("DATABASE").replace("/", "%2F");
        return DriverManager.getConnection(
                "jdbc:postgresql://" + env("HOST") + ":" + env("PORT") + "/" + database, how);
    }

    private static Connection connect(String... more) throws SQLException {
        return connectAs(env("USER"), env("CA"), more);
    }

    private static String state(Work work) {
        try {
            work.run();
        } catch (BatchUpdateException error) {
            return error.getNextException() == null ? error.getSQLState() : error.getNextException().getSQLState();
        } catch (SQLException error) {
            return error.getSQLState();
        } catch (Exception error) {
            return error.toString();
        }
        return "went well";
    }

    private static void run(Connection conn, String sql) throws SQLException {
        try (var statement = conn.createStatement()) {
            statement.execute(sql);
        }
    }

    private static long number(Connection conn, String sql) throws SQLException {
        try (var statement = conn.createStatement();
                var rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    private static String stranger() {
        try {
            connectAs(env("USER"), env("STRANGER")).close();
        } catch (SQLException error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                if (cause instanceof javax.net.ssl.SSLException) {
                    return "refused";
                }
            }
            return error.toString();
        }
        return "trusted";
    }

    /** From the fifth time on it has a name at the server, and values are binary where they are to be at all. */
    private static String parameters(String binary) throws SQLException {
        try (var conn = connect("binaryTransfer", binary);
                var statement = conn.prepareStatement("SELECT ?::int + 1, ?::text")) {
            var found = "";
            for (int i = 0; i < 8; i++) {
                statement.setInt(1, 41);
                statement.setString(2, "ä'x");
                try (var rows = statement.executeQuery()) {
                    rows.next();
                    found = "[" + rows.getInt(1) + ", " + quoted(rows.getString(2)) + "]";
                }
            }
            return found;
        }
    }

    private static String failed(Connection conn) throws SQLException {
        conn.setAutoCommit(false);
        var first = state(() -> {
            run(conn, "INSERT INTO things (n, word) VALUES (-1, 'never')");
            run(conn, "SELECT 1 / 0");
        });
        conn.rollback();
        conn.setAutoCommit(true);
        return "[" + quoted(first) + ", " + number(conn, "SELECT count(*) FROM things WHERE n < 0") + "]";
    }

    private static String copy(Connection conn) throws Exception {
        var lines = new StringBuilder();
        for (int n = 1; n <= 1000; n++) {
            lines.append(n).append("\tword ").append(n).append('\n');
        }
        var copies = conn.unwrap(PGConnection.class).getCopyAPI();
        copies.copyIn("COPY things (n, word) FROM STDIN", new StringReader(lines.toString()));
        var out = new StringWriter();
        copies.copyOut("COPY things (n, word) TO STDOUT", out);
        return "[" + number(conn, "SELECT count(*) FROM things") + ", " + number(conn, "SELECT sum(n) FROM things")
                + ", " + out.toString().lines().count() + "]";
    }

    /** By a portal that is read piece by piece. */
    private static String rows(Connection conn) throws SQLException {
        conn.setAutoCommit(false);
        long count = 0;
        long total = 0;
        try (var statement = conn.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY)) {
            statement.setFetchSize(1000);
            try (var rows = statement.executeQuery("SELECT n FROM generate_series(1, 100000) n")) {
                while (rows.next()) {
                    count++;
                    total += rows.getInt(1);
                }
            }
        }
        conn.commit();
        conn.setAutoCommit(true);
        return "[" + count + ", " + total + "]";
    }

    private static String heard(Connection conn) throws SQLException {
        run(conn, "LISTEN news");
        try (var other = connect()) {
            run(other, "NOTIFY news, 'hello'");
        }
        var heard = conn.unwrap(PGConnection.class).getNotifications(10_000);
        return quoted(heard[0].getParameter());
    }

    private static String cancel(Connection conn) throws Exception {
        try (var victim = connect();
                var bystander = connect();
                var slowly = victim.createStatement()) {
            var slow = CompletableFuture.supplyAsync(() -> state(() -> slowly.execute("SELECT pg_sleep(50)")));
            var quiet = CompletableFuture.supplyAsync(() -> state(() -> run(bystander, "SELECT pg_sleep(4)")));
            while (number(conn, RUNNING) < 2) {
                Thread.onSpinWait();
            }
            slowly.cancel();
            return "[" + quoted(slow.get()) + ", " + quoted(quiet.get()) + ", " + number(victim, "SELECT 1") + "]";
        }
    }

    private static String batch(Connection conn) throws SQLException {
        run(conn, "CREATE TABLE piped (n int)");
        try (var statement = conn.prepareStatement("INSERT INTO piped VALUES (?)")) {
            for (int n = 0; n < 100; n++) {
                statement.setInt(1, n);
                statement.addBatch();
            }
            statement.executeBatch();
        }
        return Long.toString(number(conn, "SELECT sum(n) FROM piped"));
    }

    private static String batchFails(Connection conn) throws SQLException {
        conn.setAutoCommit(false);
        var first = state(() -> {
            try (var statement = conn.prepareStatement("INSERT INTO things (n) VALUES (-2 / ?::int)")) {
                for (int n : new int[] {1, 0, 2}) {
                    statement.setInt(1, n);
                    statement.addBatch();
                }
                statement.executeBatch();
            }
        });
        conn.rollback();
        conn.setAutoCommit(true);
        return "[" + quoted(first) + ", " + number(conn, "SELECT count(*) FROM things WHERE n < 0") + "]";
    }

    private static String refused(Connection conn) throws SQLException {
        var said = state(() -> run(conn, "DELETE FROM things"));
        return "[" + quoted(said) + ", " + number(conn, "SELECT count(*) FROM things") + "]";
    }

    private static void ended() throws SQLException {
        var conn = connectAs(env("ENDS"), env("CA"));
        saw("ending", "null");
        saw("ended", quoted(state(() -> run(conn, "SELECT pg_sleep(60)"))));
    }

    public static void main(String[] args) throws Exception {
        // What is said is UTF-8, whatever the machine's language.
        System.setOut(new java.io.PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true, "UTF-8"));
        saw("stranger", quoted(stranger()));
        try (var conn = connect()) {
            saw("simple", Long.toString(number(conn, "SELECT 6 * 7")));
            run(conn, "CREATE TABLE things (n int, word text)");
            saw("text", parameters("false"));
            saw("binary", parameters("true"));
            saw("failed", failed(conn));
            saw("copy", copy(conn));
            saw("rows", rows(conn));
            saw("notify", heard(conn));
            saw("cancel", cancel(conn));
            saw("pipeline", batch(conn));
            saw("pipeline fails", batchFails(conn));
            saw("refused", refused(conn));
            ended();
            saw("stays", Long.toString(number(conn, "SELECT 1")));
        }
    }
}
