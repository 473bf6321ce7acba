import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * What a program does with the Flight SQL JDBC driver: each method whose name begins with "check" is one check. Prints
 * "ok NAME" or "failed NAME: why" for each. Argument: the URL of a cluster with TPC-H's tables.
 */
public final class Checks {
  private static final String LONG_QUERY =
      "SELECT count(*) FROM range(100000) a, range(100000) b WHERE (a.range * b.range) % 7 = 3";

  private final Connection connection;
  private final String url;

  private Checks(String url) throws SQLException {
    this.url = url;
    this.connection = DriverManager.getConnection(url);
  }

  public static void main(String[] arguments) throws Exception {
    PrintStream out = System.out;
    Checks checks = new Checks(arguments[0]);
    for (Method method : Checks.class.getDeclaredMethods()) {
      if (!method.getName().startsWith("check")) {
        continue;
      }
      try {
        method.invoke(checks);
        out.println("ok " + method.getName());
      } catch (InvocationTargetException error) {
        out.println("failed " + method.getName() + ": " + error.getCause());
        error.getCause().printStackTrace(out);
      }
    }
    checks.connection.close();
  }

  // ---- queries

  private void checkTypesByGetObject() throws SQLException {
    Object[][] cases = {
      {"1::TINYINT", Types.TINYINT, (byte) 1},
      {"2::SMALLINT", Types.SMALLINT, (short) 2},
      {"3::INTEGER", Types.INTEGER, 3},
      {"4::BIGINT", Types.BIGINT, 4L},
      {"170141183460469231731687303715884105727::HUGEINT", Types.DECIMAL,
        new BigDecimal("170141183460469231731687303715884105727")},
      {"12345678901234567890.12::DECIMAL(38,2)", Types.DECIMAL, new BigDecimal("12345678901234567890.12")},
      {"1.5::FLOAT", Types.FLOAT, 1.5},
      {"'nan'::DOUBLE", Types.DOUBLE, Double.NaN},
      {"true", Types.BOOLEAN, true},
      {"'ü😀'", Types.VARCHAR, "ü😀"},
      {"'6e0c1b1e-3a3b-4c5d-8e9f-001122334455'::UUID", Types.VARCHAR, "6e0c1b1e-3a3b-4c5d-8e9f-001122334455"},
      {"'101'::BIT", Types.VARCHAR, "101"},
      {"'\\xAB\\x00'::BLOB", Types.VARBINARY, new byte[] {(byte) 0xAB, 0}},
      {"DATE '1900-02-28'", Types.DATE, java.sql.Date.valueOf("1900-02-28")},
      {"TIMESTAMP '2024-07-02 03:04:05.678901'", Types.TIMESTAMP,
        java.sql.Timestamp.valueOf("2024-07-02 03:04:05.678901")},
      {"TIMESTAMP_NS '2024-07-02 03:04:05.123456789'", Types.TIMESTAMP,
        java.sql.Timestamp.valueOf("2024-07-02 03:04:05.123456789")},
    };
    for (Object[] one : cases) {
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery("SELECT " + one[0] + " AS v")) {
        equal(one[0] + ": type", one[1], rows.getMetaData().getColumnType(1));
        equal(one[0] + ": name", "v", rows.getMetaData().getColumnName(1));
        equal(one[0] + ": a row", true, rows.next());
        equal((String) one[0], one[2], rows.getObject(1));
        equal(one[0] + ": null", false, rows.wasNull());
        equal(one[0] + ": no row", false, rows.next());
      }
    }
  }

  /** They have columns before they run, so that the driver does not take them for updates. */
  private void checkWhatIsShown() throws SQLException {
    for (String sql : new String[] {"SHOW ballista.shuffle_partitions", "SHOW TimeZone", "SHOW TABLES"}) {
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery(sql)) {
        equal(sql + ": a row", true, rows.next());
        equal(sql + ": a value", false, rows.getString(1).isEmpty());
      }
    }
  }

  private void checkTypesByText() throws SQLException {
    String[][] cases = {
      {"[1, NULL, 3]", "[1,null,3]"},
      {"[[1], [2, 3]]", "[[1],[2,3]]"},
      {"[1, 2]::INTEGER[2]", "[1,2]"},
      {"{'x': 1, 'y': {'z': [1, 2]}}", "{\"x\":1,\"y\":{\"z\":[1,2]}}"},
      {"MAP {'k': 1, 'l': 2}", "{\"k\":1,\"l\":2}"},
      {"union_value(n := 3)", "3"},
      {"INTERVAL '-1 year 2 days 3.5 seconds'", "P-12M2DT3.5S"},
      {"TIME '01:02:03.456'", "01:02:03.456"},
      {"18446744073709551615::UBIGINT", "18446744073709551615"},
      {"'b'::ENUM('a', 'b')::VARCHAR", "b"},
    };
    for (String[] one : cases) {
      equal(one[0], one[1], textOf("SELECT " + one[0]));
    }
  }

  /** The zone is the server's UTC; `getObject` without a class is one that the driver does not implement. */
  private void checkTimestampsWithTimeZone() throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SELECT TIMESTAMPTZ '2024-07-02 03:04:05.25+02' AS v")) {
      rows.next();
      equal("type", Types.TIMESTAMP_WITH_TIMEZONE, rows.getMetaData().getColumnType(1));
      equal("moment", OffsetDateTime.parse("2024-07-02T01:04:05.25Z").toInstant(),
          rows.getObject(1, OffsetDateTime.class).toInstant());
    }
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SELECT TIMESTAMP '2024-07-02 03:04:05.25' AS v")) {
      rows.next();
      equal("local", LocalDateTime.parse("2024-07-02T03:04:05.25"), rows.getObject(1, LocalDateTime.class));
    }
  }

  private void checkNulls() throws SQLException {
    String[] types = {"TINYINT", "INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "DECIMAL(10,2)", "BOOLEAN", "VARCHAR", "BLOB",
      "DATE", "TIME", "TIMESTAMP", "INTERVAL", "INTEGER[]", "STRUCT(a INTEGER)", "MAP(VARCHAR, INTEGER)", "UUID"};
    StringBuilder sql = new StringBuilder("SELECT NULL");
    for (String type : types) {
      sql.append(", NULL::").append(type);
    }
    try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql.toString())) {
      equal("a row", true, rows.next());
      for (int column = 1; column <= types.length + 1; column++) {
        equal("column " + column, null, rows.getObject(column));
        equal("wasNull " + column, true, rows.wasNull());
      }
    }
  }

  private void checkEmptyResult() throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SELECT l_orderkey, l_comment FROM lineitem WHERE l_orderkey < 0")) {
      ResultSetMetaData about = rows.getMetaData();
      // The driver counts the columns of a result without rows twice.
      equal("columns", true, about.getColumnCount() == 2 || about.getColumnCount() == 4);
      equal("type", Types.BIGINT, about.getColumnType(1));
      equal("name", "l_comment", about.getColumnLabel(2));
      equal("rows", false, rows.next());
    }
  }

  private void checkManyRows() throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SELECT range AS r FROM range(1000000)")) {
      long count = 0;
      long sum = 0;
      while (rows.next()) {
        count++;
        sum += rows.getLong("r");
      }
      equal("rows", 1000000L, count);
      equal("sum", 499999500000L, sum);
    }
  }

  private void checkStatementsOneAfterTheOther() throws SQLException {
    try (Statement statement = connection.createStatement()) {
      for (int i = 0; i < 5; i++) {
        try (ResultSet rows = statement.executeQuery("SELECT " + i + " AS i")) {
          rows.next();
          equal("value", i, rows.getInt(1));
        }
      }
    }
  }

  private void checkErrorsSayWhatIsWrong() throws SQLException {
    String[][] cases = {
      {"SELEC 1", "Parser Error: syntax error at or near \"SELEC\""},
      {"SELECT nowhere FROM lineitem", "Binder Error: Referenced column \"nowhere\" not found"},
      {"SELECT * FROM nothing", "Catalog Error: Table with name nothing does not exist"},
      {"SELECT l_comment::INTEGER FROM lineitem", "Could not convert string"},
    };
    for (String[] one : cases) {
      try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(one[0])) {
        rows.next();
        throw new AssertionError("no error for " + one[0]);
      } catch (SQLException error) {
        contains(one[0], one[1], error.getMessage());
      }
    }
    equal("goes on", "1", textOf("SELECT 1"));
  }

  // ---- changes, sessions

  private void checkUpdates() throws SQLException {
    try (Statement statement = connection.createStatement()) {
      equal("create", 0, Math.max(statement.executeUpdate("CREATE TABLE changed (a INTEGER, b VARCHAR)"), 0));
      equal("insert", 2, statement.executeUpdate("INSERT INTO changed VALUES (1, 'x'), (2, 'y')"));
      equal("no rows", false, statement.execute("INSERT INTO changed VALUES (3, NULL)"));
      equal("count", 1, statement.getUpdateCount());
      equal("delete", 1, statement.executeUpdate("DELETE FROM changed WHERE a = 2"));
      equal("rows", true, statement.execute("SELECT count(*) FROM changed"));
    }
    equal("content", "1/3", textOf("SELECT string_agg(a, '/' ORDER BY a) FROM changed"));
    try (Statement statement = connection.createStatement()) {
      statement.executeUpdate("DROP TABLE changed");
    }
  }

  private void checkConnectionsAreSessions() throws SQLException {
    try (Connection other = DriverManager.getConnection(url); Statement statement = other.createStatement()) {
      statement.execute("CREATE TEMP VIEW mine AS SELECT 42 AS answer");
      equal("here", "42", textOf(other, "SELECT answer FROM mine"));
      equal("valid", true, other.isValid(5));
      equal("auto commit", true, other.getAutoCommit());
    }
    try {
      textOf("SELECT answer FROM mine");
      throw new AssertionError("a temporary view of another connection");
    } catch (SQLException error) {
      contains("there", "mine does not exist", error.getMessage());
    }
  }

  private void checkPreparedStatement() throws SQLException {
    String sql = "SELECT n_name FROM nation WHERE n_regionkey = ? AND n_name > ? ORDER BY n_name";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      equal("parameters", 2, statement.getParameterMetaData().getParameterCount());
      String[][] expected = {{"0", "K", "KENYA,MOROCCO,MOZAMBIQUE"}, {"1", "P", "PERU,UNITED STATES"}};
      for (String[] one : expected) {
        statement.setInt(1, Integer.parseInt(one[0]));
        statement.setString(2, one[1]);
        List<String> names = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery()) {
          equal("column", "n_name", rows.getMetaData().getColumnName(1));
          while (rows.next()) {
            names.add(rows.getString(1));
          }
        }
        equal("rows", one[2], String.join(",", names));
      }
    }
  }

  private void checkParametersOfAllTypes() throws SQLException {
    String sql = "SELECT ?::BIGINT + 1, ?::VARCHAR || '!', ?::DOUBLE * 2, ?::BOOLEAN, ?::DATE + 1, ?::INTEGER IS NULL";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setLong(1, 41);
      statement.setString(2, "it's; -- ?");
      statement.setDouble(3, 1.25);
      statement.setBoolean(4, true);
      statement.setDate(5, java.sql.Date.valueOf("2024-02-28"));
      statement.setNull(6, Types.INTEGER);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        equal("long", 42L, rows.getLong(1));
        equal("text", "it's; -- ?!", rows.getString(2));
        equal("double", 2.5, rows.getDouble(3));
        equal("boolean", true, rows.getBoolean(4));
        contains("date", "2024-02-29", String.valueOf(rows.getObject(5)));
        equal("null", true, rows.getBoolean(6));
      }
    }
  }

  private void checkParametersWithoutAType() throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement("SELECT ?, ? || '!'")) {
      equal("type", Types.VARCHAR, statement.getParameterMetaData().getParameterType(1));
      statement.setString(1, "one");
      statement.setString(2, "two");
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        equal("first", "one", rows.getString(1));
        equal("second", "two!", rows.getString(2));
      }
    }
  }

  // A cast says what a parameter is where nothing else does.
  private void checkParametersWithACast() throws SQLException {
    String sql = "SELECT ?::INTEGER + 1, ?::BIGINT, ?::SMALLINT, ?::DOUBLE, ?::FLOAT, ?::DECIMAL(9, 2), ?::DATE, "
        + "?::TIMESTAMP, ?::TIME, ?::BLOB, ?::INTEGER IS NULL, ? IS NULL FROM range(10) LIMIT ?";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setInt(1, 41);
      statement.setLong(2, 1L << 40);
      statement.setShort(3, (short) -3);
      statement.setDouble(4, 1.25);
      statement.setFloat(5, 2.5f);
      statement.setBigDecimal(6, new java.math.BigDecimal("12.34"));
      statement.setDate(7, java.sql.Date.valueOf("2024-02-28"));
      statement.setTimestamp(8, java.sql.Timestamp.valueOf("2024-02-28 01:02:03.456"));
      statement.setTime(9, java.sql.Time.valueOf("01:02:03"));
      statement.setBytes(10, new byte[] {0, 1, -1});
      statement.setInt(11, 7);
      statement.setString(12, "not null");
      statement.setLong(13, 1);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        equal("int", 42, rows.getInt(1));
        equal("long", 1L << 40, rows.getLong(2));
        equal("short", (short) -3, rows.getShort(3));
        equal("double", 1.25, rows.getDouble(4));
        equal("float", 2.5f, rows.getFloat(5));
        equal("decimal", new java.math.BigDecimal("12.34"), rows.getBigDecimal(6));
        contains("date", "2024-02-28", String.valueOf(rows.getObject(7)));
        equal("timestamp", java.time.LocalDateTime.parse("2024-02-28T01:02:03.456"),
            rows.getObject(8, java.time.LocalDateTime.class));
        contains("time", "01:02:03", String.valueOf(rows.getObject(9)));
        equal("bytes", 3, rows.getBytes(10).length);
        equal("null of a cast", false, rows.getBoolean(11));
        equal("null of a text", false, rows.getBoolean(12));
        equal("limit", false, rows.next());
      }
      statement.setNull(11, Types.INTEGER);
      statement.setNull(12, Types.VARCHAR);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        equal("null of a cast", true, rows.getBoolean(11));
        equal("null of a text", true, rows.getBoolean(12));
      }
    }
  }

  private void checkPreparedUpdates() throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.executeUpdate("CREATE TABLE filled (a INTEGER, b VARCHAR)");
    }
    try (PreparedStatement statement = connection.prepareStatement("INSERT INTO filled VALUES (?, ?)")) {
      statement.setInt(1, 1);
      statement.setString(2, "one");
      equal("count", 1, statement.executeUpdate());
      for (int i = 2; i <= 3; i++) {
        statement.setInt(1, i);
        statement.setString(2, "row " + i);
        statement.addBatch();
      }
      statement.executeBatch();
    }
    equal("content", "1=one,2=row 2,3=row 3", textOf("SELECT string_agg(a || '=' || b, ',' ORDER BY a) FROM filled"));
    try (Statement statement = connection.createStatement()) {
      statement.executeUpdate("DROP TABLE filled");
    }
  }

  // ---- cancel

  private void checkCancel() throws Exception {
    try (Statement statement = connection.createStatement()) {
      Thread other = new Thread(() -> {
        try {
          Thread.sleep(1000);
          statement.cancel();
        } catch (Exception error) {
          throw new IllegalStateException(error);
        }
      });
      other.start();
      long start = System.nanoTime();
      try (ResultSet rows = statement.executeQuery(LONG_QUERY)) {
        rows.next();
        throw new AssertionError("was not cancelled");
      } catch (SQLException error) {
        contains("message", "ancel", error.getMessage());
      }
      other.join();
      equal("soon", true, System.nanoTime() - start < 8_000_000_000L);
    }
    equal("goes on", "1", textOf("SELECT count(*) FROM region WHERE r_name = 'ASIA'"));
  }

  private void checkQueryTimeout() throws SQLException {
    long start = System.nanoTime();
    try (Statement statement = connection.createStatement()) {
      statement.setQueryTimeout(1);
      try (ResultSet rows = statement.executeQuery(LONG_QUERY)) {
        rows.next();
        throw new AssertionError("did not time out");
      } catch (SQLException error) {
        contains("message", "timed out after 1 SECONDS", error.getMessage());
      }
    }
    equal("soon", true, System.nanoTime() - start < 8_000_000_000L);
    equal("goes on", "1", textOf("SELECT count(*) FROM region WHERE r_name = 'ASIA'"));
  }

  // ---- metadata

  private void checkProduct() throws Exception {
    DatabaseMetaData about = connection.getMetaData();
    equal("name", "Ballista", about.getDatabaseProductName());
    contains("version", ".", about.getDatabaseProductVersion());
    equal("quote", "\"", about.getIdentifierQuoteString());
    equal("nulls", true, about.nullsAreSortedAtEnd());
    equal("read only", false, about.isReadOnly());
  }

  /** Programs ask for any of these to see what they may write. */
  private void checkCapabilities() throws Exception {
    DatabaseMetaData about = connection.getMetaData();
    List<String> problems = new ArrayList<>();
    for (Method method : DatabaseMetaData.class.getMethods()) {
      Class<?> type = method.getReturnType();
      boolean plain = type == boolean.class || type == int.class || type == String.class;
      if (!plain || method.getParameterCount() > 0) {
        continue;
      }
      try {
        method.invoke(about);
      } catch (InvocationTargetException error) {
        problems.add(method.getName() + ": " + error.getCause().getClass().getSimpleName());
      }
    }
    equal("without an answer", List.of(), problems);
    equal("transactions", false, about.supportsTransactions());
    equal("group by", true, about.supportsGroupBy());
    equal("union all", true, about.supportsUnionAll());
    equal("outer joins", true, about.supportsOuterJoins());
    equal("correlated", true, about.supportsCorrelatedSubqueries());
    equal("aliases", true, about.supportsColumnAliasing());
    equal("savepoints", false, about.supportsSavepoints());
    equal("procedures", false, about.supportsStoredProcedures());
  }

  private void checkCatalogsAndSchemas() throws SQLException {
    DatabaseMetaData about = connection.getMetaData();
    contains("catalogs", "memory", column(about.getCatalogs(), "TABLE_CAT").toString());
    contains("schemas", "main", column(about.getSchemas(), "TABLE_SCHEM").toString());
    equal("pattern", List.of("main"), column(about.getSchemas(null, "mai_"), "TABLE_SCHEM"));
    equal("no match", List.of(), column(about.getSchemas(null, "x%"), "TABLE_SCHEM"));
    List<String> types = column(about.getTableTypes(), "TABLE_TYPE");
    equal("types " + types, true, types.contains("VIEW") && types.contains("BASE TABLE"));
  }

  private void checkTables() throws SQLException {
    DatabaseMetaData about = connection.getMetaData();
    equal("all", List.of("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"),
        column(about.getTables(null, null, "%", null), "TABLE_NAME"));
    equal("pattern", List.of("part", "partsupp"), column(about.getTables(null, "main", "part%", null), "TABLE_NAME"));
    equal("one letter", List.of("part"), column(about.getTables("memory", "main", "par_", null), "TABLE_NAME"));
    String[] views = {"VIEW"};
    equal("kind", List.of("orders"), column(about.getTables(null, null, "orders", views), "TABLE_NAME"));
    equal("no match", List.of(), column(about.getTables(null, "nowhere", "%", null), "TABLE_NAME"));
  }

  private void checkColumns() throws SQLException {
    DatabaseMetaData about = connection.getMetaData();
    equal("columns", 16, column(about.getColumns(null, null, "lineitem", null), "COLUMN_NAME").size());
    try (ResultSet rows = about.getColumns(null, "main", "lineitem", "l_%date")) {
      String[] names = {"l_shipdate", "l_commitdate", "l_receiptdate"};
      int[] positions = {11, 12, 13};
      for (int i = 0; i < names.length; i++) {
        equal("row", true, rows.next());
        equal("name", names[i], rows.getString("COLUMN_NAME"));
        equal("table", "lineitem", rows.getString("TABLE_NAME"));
        equal("type", Types.DATE, rows.getInt("DATA_TYPE"));
        equal("position", positions[i], rows.getInt("ORDINAL_POSITION"));
        equal("nullable", "YES", rows.getString("IS_NULLABLE"));
      }
      equal("end", false, rows.next());
    }
    try (ResultSet rows = about.getColumns(null, null, "orders", "o_totalprice")) {
      rows.next();
      equal("decimal", Types.DECIMAL, rows.getInt("DATA_TYPE"));
      equal("precision", 15, rows.getInt("COLUMN_SIZE"));
      equal("scale", 2, rows.getInt("DECIMAL_DIGITS"));
    }
  }

  private void checkKeysAndTheRest() throws SQLException {
    DatabaseMetaData about = connection.getMetaData();
    String none = null;
    ResultSet[] empty = {
      about.getPrimaryKeys(none, none, "lineitem"), about.getImportedKeys(none, none, "lineitem"),
      about.getExportedKeys(none, none, "lineitem"),
      about.getCrossReference(none, none, "lineitem", none, none, "orders"),
      about.getIndexInfo(none, none, "lineitem", false, true), about.getProcedures(none, none, "%"),
      about.getFunctions(none, none, "%"), about.getBestRowIdentifier(none, none, "lineitem", 0, true),
      about.getUDTs(none, none, "%", null), about.getTypeInfo(),
    };
    for (ResultSet rows : empty) {
      equal("rows", false, rows.next());
      rows.close();
    }
  }

  // ----

  private String textOf(String sql) throws SQLException {
    return textOf(connection, sql);
  }

  private static String textOf(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
      return rows.next() ? rows.getString(1) : null;
    }
  }

  private static List<String> column(ResultSet rows, String name) throws SQLException {
    List<String> values = new ArrayList<>();
    try (rows) {
      while (rows.next()) {
        values.add(rows.getString(name));
      }
    }
    return values;
  }

  private static void equal(String what, Object expected, Object got) {
    boolean same = expected instanceof byte[] && got instanceof byte[]
        ? Arrays.equals((byte[]) expected, (byte[]) got)
        : Objects.equals(expected, got);
    if (!same) {
      throw new AssertionError(what + ": expected " + expected + ", got " + got);
    }
  }

  private static void contains(String what, String part, String text) {
    if (text == null || !text.contains(part)) {
      throw new AssertionError(what + ": expected ..." + part + "..., got " + text);
    }
  }
}
