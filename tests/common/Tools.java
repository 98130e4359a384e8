import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's command line tools in one machine, which saves the start of one for each call.
 *
 * A line on stdin is a class and its arguments; what it prints comes back, and behind that the line {@code done}.
 */
public class Tools {
    public static void main(String[] none) throws Exception {
        PrintStream out = System.out;
        // Scala keeps the stream that it finds first, so there is one for all calls.
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(said, true);
        System.setOut(both);
        System.setErr(both);
        Exit.setExitProcedure((status, message) -> {
            throw new IllegalStateException("exit " + status + " " + message);
        });
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            said.reset();
            try {
                String[] words = line.split(" ");
                String[] arguments = Arrays.copyOfRange(words, 1, words.length);
                Class.forName(words[0]).getMethod("main", String[].class).invoke(null, (Object) arguments);
            } catch (InvocationTargetException error) {
                // Some tools end the machine also when all went well.
                if (!String.valueOf(error.getCause().getMessage()).startsWith("exit 0")) {
                    both.println(error.getCause());
                }
            }
            out.print(said);
            out.println();
            out.println("done");
            out.flush();
        }
    }
}
