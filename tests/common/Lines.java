import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The half that Java programs share: lines of a verb and words of {@code name=value}, and the facts that answer them. */
public final class Lines {
    private Lines() {
    }

    /** What a program does for a verb. */
    public interface Verb {
        /** Adds facts, or throws what has failed. */
        void perform(Map<String, String> words, List<String> facts) throws Exception;
    }

    /** Answers lines until stdin ends. */
    public static void answer(Map<String, Verb> verbs) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(answer(verbs, line.trim().split(" ")));
        }
        System.exit(0);
    }

    private static String answer(Map<String, Verb> verbs, String[] words) {
        Map<String, String> given = new HashMap<>();
        for (int i = 1; i < words.length; i += 1) {
            String[] pair = words[i].split("=", 2);
            given.put(pair[0], pair[1]);
        }
        List<String> facts = new ArrayList<>();
        try {
            verbs.get(words[0]).perform(given, facts);
            facts.add("ok");
        } catch (Throwable error) {
            facts.add(("failed " + error).replaceAll("\\s+", " "));
        }
        return String.join("\n", facts);
    }
}
