import java.io.PrintWriter;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.Statement;
import java.util.stream.Stream;

/**
 * Runs each file NAME.sql of a folder and writes its rows to NAME.rows: a line with the names of the columns' types,
 * then one a row, values in JSON as text or null. Arguments: URL, folder, statements to run before.
 */
public final class Queries {
  public static void main(String[] arguments) throws Exception {
    try (Connection connection = DriverManager.getConnection(arguments[0]);
        Statement statement = connection.createStatement();
        Stream<Path> files = Files.list(Path.of(arguments[1]))) {
      for (int i = 2; i < arguments.length; i++) {
        statement.execute(arguments[i]);
      }
      for (Path file : (Iterable<Path>) files.filter(path -> path.toString().endsWith(".sql")).sorted()::iterator) {
        Path target = Path.of(file.toString().replace(".sql", ".rows"));
        try (ResultSet rows = statement.executeQuery(Files.readString(file));
            PrintWriter out = new PrintWriter(Files.newBufferedWriter(target))) {
          write(rows, out);
        }
      }
    }
  }

  private static void write(ResultSet rows, PrintWriter out) throws Exception {
    ResultSetMetaData about = rows.getMetaData();
    String[] cells = new String[about.getColumnCount()];
    for (int i = 0; i < cells.length; i++) {
      cells[i] = quote(about.getColumnTypeName(i + 1));
    }
    out.println("[" + String.join(",", cells) + "]");
    while (rows.next()) {
      for (int i = 0; i < cells.length; i++) {
        Object value = rows.getObject(i + 1);
        cells[i] = value == null ? "null" : quote(text(value));
      }
      out.println("[" + String.join(",", cells) + "]");
    }
  }

  private static String text(Object value) {
    return value instanceof BigDecimal ? ((BigDecimal) value).toPlainString() : value.toString();
  }

  private static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c < ' ' || c == '"' || c == '\\') {
        quoted.append(String.format("\\u%04x", (int) c));
      } else {
        quoted.append(c);
      }
    }
    return quoted.append('"').toString();
  }
}
