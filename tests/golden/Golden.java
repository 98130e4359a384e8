// Writes golden vectors: messages as Apache Kafka's own classes encode them, each with its fields in a readable form.
//
//     java -cp kafka-clients-<release>.jar Golden.java <release> <file of API names> <directory for the vectors>
//
// Every request and response of the named APIs is filled by reflection at every version that the release has. What a
// version contains is asked of its schema, so a field is set exactly where it exists. A version that an earlier run
// (of a newer release) has written already is passed over. All choices come from seeds, so a second run writes the
// same files. See README.md for the format.

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

public final class Golden {
    /** How the fields of a vector are chosen. */
    enum Style {
        /** Zero, empty, and no tagged fields. */
        EMPTY,
        /** Null wherever it may be, and no tagged fields. */
        NULLS,
        /** What might be seen in life. */
        TYPICAL,
        /** The ends of the ranges, and lengths beyond one byte of varint. */
        EXTREME,
        /** Any of these, field by field. */
        MIXED,
        /** Typical, with tagged fields that nobody knows. */
        UNKNOWN,
    }

    /** A message class: its fields by name, as its versions have them. */
    static final class Shape {
        /** Fields that some version has, in the order of their declaration. */
        final Map<String, Field> fields = new LinkedHashMap<>();
        /** Those of them that may be null in some version. */
        final Set<String> nullable = new HashSet<>();
    }

    private final Map<Class<?>, Shape> shapes = new HashMap<>();
    private Random random = new Random(0);

    public static void main(String[] args) throws Exception {
        String release = args[0];
        Path directory = Path.of(args[2]);
        Golden golden = new Golden();
        for (String name : Files.readAllLines(Path.of(args[1]))) {
            if (name.isBlank() || name.startsWith("#")) continue;
            ApiMessageType api = Arrays.stream(ApiMessageType.values())
                .filter(a -> a.name.equals(name)).findFirst().orElse(null);
            if (api == null || api.highestSupportedVersion(false) < api.lowestSupportedVersion()) continue;
            golden.writeApi(api, release, directory.resolve(name + ".txt"));
            golden.writeHeaders(api, release, directory.resolve("headers.txt"));
        }
    }

    // ------------------------------------------------------------------------------------------------ vectors

    private void writeApi(ApiMessageType api, String release, Path file) throws Exception {
        String written = Files.exists(file) ? Files.readString(file) : "";
        StringBuilder out = new StringBuilder();
        for (boolean request : new boolean[] {true, false}) {
            Schema[] schemas = request ? api.requestSchemas() : api.responseSchemas();
            Class<?> type = (request ? api.newRequest() : api.newResponse()).getClass();
            short last = api.highestSupportedVersion(false);
            for (short v = api.lowestSupportedVersion(); v <= last; v++) learn(type, schemas[v]);
            for (short v = api.lowestSupportedVersion(); v <= last; v++) {
                String head = (request ? "request " : "response ") + v + " ";
                if (written.contains(head)) continue;
                for (Style style : Style.values()) {
                    if (style == Style.UNKNOWN && !isFlexible(schemas[v])) continue;
                    random = new Random((api.name + head + style).hashCode());
                    Message message = fill((Message) type.getDeclaredConstructor().newInstance(), schemas[v], style);
                    out.append(head).append(style.name().toLowerCase()).append(' ').append(release).append('\n')
                        .append(hex(encode(message, v))).append('\n')
                        .append(show(message, schemas[v])).append("\n\n");
                }
            }
        }
        Files.writeString(file, written + out);
    }

    /** Both headers of every version, by the version of the header that Kafka uses for it. */
    private void writeHeaders(ApiMessageType api, String release, Path file) throws Exception {
        String written = Files.exists(file) ? Files.readString(file) : "";
        StringBuilder out = new StringBuilder();
        String[] clients = {"client-7", null, "", "gr\u00fc\u00dfe"};
        for (short v = api.lowestSupportedVersion(); v <= api.highestSupportedVersion(false); v++) {
            String head = api.name + " " + v + " " ;
            if (written.contains("\n" + head) || written.startsWith(head)) continue;
            short version = api.requestHeaderVersion(v);
            String client = version == 0 ? "" : clients[v % clients.length];
            int correlation = (head.hashCode() & 0xffff) * 40503;
            RequestHeaderData request = new RequestHeaderData().setRequestApiKey(api.apiKey()).setRequestApiVersion(v)
                .setCorrelationId(correlation).setClientId(client);
            ResponseHeaderData response = new ResponseHeaderData().setCorrelationId(correlation);
            out.append(head).append(hex(encode(request, version))).append(' ')
                .append(hex(encode(response, api.responseHeaderVersion(v)))).append(' ')
                .append(correlation).append(' ')
                .append(client == null ? "None" : "Some(\"" + client + "\")").append('\n');
        }
        Files.writeString(file, written + out);
    }

    /** The bytes, after a check that Kafka reads the same message from them. */
    private static byte[] encode(Message message, short version) throws Exception {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        byte[] bytes = buffer.array();
        Message again = message.getClass().getDeclaredConstructor().newInstance();
        again.read(new ByteBufferAccessor(ByteBuffer.wrap(bytes)), version);
        if (buffer.hasRemaining() || !again.equals(message)) {
            throw new IllegalStateException("Kafka reads another " + message);
        }
        return bytes;
    }

    // ------------------------------------------------------------------------------------------------ shapes

    private static boolean isFlexible(Schema schema) {
        return Arrays.stream(schema.fields()).anyMatch(f -> f.def.type instanceof TaggedFields);
    }

    /** The fields of one version, tagged ones included, by name. */
    private static Map<String, Type> typesOf(Schema schema, boolean tagged) {
        Map<String, Type> types = new LinkedHashMap<>();
        for (BoundField field : schema.fields()) {
            if (!(field.def.type instanceof TaggedFields tags)) types.put(field.def.name, field.def.type);
            else if (tagged) fieldsOf(tags).forEach(f -> types.put(f.name, f.type));
        }
        return types;
    }

    /** The fields behind the tags, which not every release lets see. */
    @SuppressWarnings("unchecked")
    private static Collection<org.apache.kafka.common.protocol.types.Field> fieldsOf(TaggedFields tags) {
        try {
            Field fields = TaggedFields.class.getDeclaredField("fields");
            fields.setAccessible(true);
            return ((Map<Integer, org.apache.kafka.common.protocol.types.Field>) fields.get(tags)).values();
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private void learn(Class<?> type, Schema schema) {
        Map<String, Type> types = typesOf(schema, true);
        Shape shape = shapes.computeIfAbsent(type, t -> new Shape());
        Map<String, Field> found = new LinkedHashMap<>();
        for (Field field : type.getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers())) continue;
            field.setAccessible(true);
            types.keySet().stream().filter(n -> n.replace("_", "").equalsIgnoreCase(field.getName()))
                .findFirst().ifPresent(n -> found.put(n, field));
        }
        if (found.size() != types.size()) throw new IllegalStateException(type + " lacks fields of " + types.keySet());
        found.forEach((name, field) -> {
            shape.fields.put(name, field);
            Type wire = types.get(name);
            if (wire.isNullable()) shape.nullable.add(name);
            Schema inner = schemaIn(wire);
            if (inner != null) learn(classIn(field), inner);
        });
    }

    /** The struct that a field holds, one or many. */
    private static Schema schemaIn(Type wire) {
        var element = wire.arrayElementType().orElse(wire);
        return element instanceof Schema schema ? schema : null;
    }

    /** The class of what a field holds, one or many. */
    private static Class<?> classIn(Field field) {
        Class<?> type = field.getType();
        if (!Collection.class.isAssignableFrom(type)) return type;
        var generic = type == List.class ? field.getGenericType() : type.getGenericSuperclass();
        return (Class<?>) ((ParameterizedType) generic).getActualTypeArguments()[0];
    }

    // ------------------------------------------------------------------------------------------------ values

    private Message fill(Message message, Schema schema, Style style) throws Exception {
        boolean plain = style == Style.EMPTY || style == Style.NULLS;
        Shape shape = shapes.get(message.getClass());
        Set<String> always = typesOf(schema, false).keySet();
        for (var entry : typesOf(schema, true).entrySet()) {
            boolean tagged = !always.contains(entry.getKey());
            if (tagged && (plain || style == Style.MIXED && random.nextBoolean())) continue;
            Field field = shape.fields.get(entry.getKey());
            field.set(message, value(entry.getValue(), field, style));
        }
        if (style == Style.UNKNOWN && isFlexible(schema)) {
            message.unknownTaggedFields().add(new RawTaggedField(500, new byte[0]));
            message.unknownTaggedFields().add(new RawTaggedField(70_000, bytes(random.nextBoolean() ? 3 : 130)));
        }
        return message;
    }

    private Object value(Type wire, Field field, Style outer) throws Exception {
        boolean isStruct = schemaIn(wire) != null && wire.arrayElementType().isEmpty();
        Style style = outer != Style.MIXED ? outer : Style.values()[random.nextInt(isStruct ? 3 : 4)];
        if (style == Style.NULLS && wire.isNullable()) return null;
        if (wire.arrayElementType().isEmpty()) return single(wire, classIn(field), isStruct ? outer : style);
        Collection<Object> items = collection(field.getType());
        int count = style == Style.EMPTY ? 0 : style == Style.TYPICAL || style == Style.UNKNOWN ? 2 : 1;
        for (int i = 0; i < count; i++) items.add(single(wire.arrayElementType().get(), classIn(field), outer));
        return items;
    }

    @SuppressWarnings("unchecked")
    private static Collection<Object> collection(Class<?> type) throws Exception {
        if (type == List.class) return new ArrayList<>();
        return (Collection<Object>) type.getDeclaredConstructor().newInstance();
    }

    private Object single(Type wire, Class<?> type, Style outer) throws Exception {
        if (wire instanceof Schema schema) {
            return fill((Message) type.getDeclaredConstructor().newInstance(), schema, outer);
        }
        Style style = outer == Style.MIXED ? Style.values()[random.nextInt(4)] : outer;
        if (type == boolean.class) return style != Style.EMPTY && random.nextBoolean();
        if (type == double.class) return style == Style.EMPTY ? 0.0 : random.nextInt(1 << 20) / 64.0 + 0.5;
        if (type == String.class) return text(style);
        if (type == Uuid.class && style == Style.EMPTY) return Uuid.ZERO_UUID;
        if (type == Uuid.class) return new Uuid(random.nextLong(), random.nextLong());
        if (type == byte[].class) return bytes(size(style));
        if (type == ByteBuffer.class) return ByteBuffer.wrap(bytes(size(style)));
        if (type.getSimpleName().equals("BaseRecords")) return records(type, bytes(size(style)));
        if (wire == Type.UINT16) return (int) number(style, 0, 0xffff);
        if (wire == Type.UNSIGNED_INT32) return number(style, 0, 0xffff_ffffL);
        if (type == byte.class || type == Byte.class) return (byte) number(style, Byte.MIN_VALUE, Byte.MAX_VALUE);
        if (type == short.class || type == Short.class) return (short) number(style, Short.MIN_VALUE, Short.MAX_VALUE);
        if (type == int.class || type == Integer.class) return (int) number(style, -0x8000_0000, 0x7fff_ffff);
        if (type == long.class || type == Long.class) return number(style, Long.MIN_VALUE, Long.MAX_VALUE);
        throw new IllegalStateException("no values for " + type);
    }

    private long number(Style style, long least, long most) {
        return switch (style) {
            case EMPTY -> 0;
            case NULLS -> Math.max(least, -1);
            case EXTREME -> random.nextBoolean() ? least : most;
            default -> 1 + random.nextInt((int) Math.min(most, 99_999));
        };
    }

    private String text(Style style) {
        String[] typical = {"topic-a", "x", "127.0.0.1", "gr\u00fc\u00dfe", "\u65e5\u672c", "with space"};
        return switch (style) {
            case EMPTY -> "";
            case EXTREME -> "y".repeat(126 + random.nextInt(3));
            default -> typical[random.nextInt(typical.length)] + random.nextInt(10);
        };
    }

    private int size(Style style) {
        return style == Style.EMPTY ? 0 : style == Style.EXTREME ? 126 + random.nextInt(3) : 1 + random.nextInt(9);
    }

    /** Kafka's MemoryRecords, which stand beside that interface; their package is not the same in every release. */
    private static Object records(Class<?> base, byte[] bytes) throws Exception {
        Class<?> type = Class.forName(base.getPackageName() + ".MemoryRecords");
        return type.getMethod("readableRecords", ByteBuffer.class).invoke(null, ByteBuffer.wrap(bytes));
    }

    private byte[] bytes(int count) {
        byte[] bytes = new byte[count];
        random.nextBytes(bytes);
        return bytes;
    }

    // ------------------------------------------------------------------------------------------------ text

    /** The message's fields. One that this version lacks has its default; an empty nullable is left out. */
    private String show(Message message, Schema schema) throws Exception {
        Shape shape = shapes.get(message.getClass());
        var present = typesOf(schema, true);
        List<String> parts = new ArrayList<>();
        for (var entry : shape.fields.entrySet()) {
            String name = entry.getKey();
            Object value = entry.getValue().get(message);
            boolean nullable = shape.nullable.contains(name);
            if (!present.containsKey(name) && nullable && value != null) continue;
            Schema inner = present.containsKey(name) ? schemaIn(present.get(name)) : null;
            parts.add(name + ": " + show(value, entry.getValue().getType(), nullable, inner));
        }
        String type = message.getClass().getSimpleName();
        if (message instanceof ApiMessage) type = type.substring(0, type.length() - "Data".length());
        return parts.isEmpty() ? type : type + " { " + String.join(", ", parts) + " }";
    }

    private String show(Object value, Class<?> type, boolean nullable, Schema schema) throws Exception {
        if (type.getSimpleName().equals("BaseRecords")) {
            ByteBuffer bytes = value == null ? null : (ByteBuffer) value.getClass().getMethod("buffer").invoke(value);
            return "Here(" + option(bytes == null ? null : show(bytes.duplicate()), true) + ")";
        }
        if (Message.class.isAssignableFrom(type)) {
            Message message = (Message) value;
            // A struct whose field this version lacks is at its defaults, which any of its schemas shows.
            String text = message == null ? null : show(message, schema != null ? schema : schemaOf(message));
            return nullable ? "Maybe(" + option(text, true) + ")" : text;
        }
        if (value instanceof ByteBuffer buffer) return option(show(buffer.duplicate()), nullable);
        if (value instanceof byte[] bytes) return option(show(ByteBuffer.wrap(bytes)), nullable);
        if (value instanceof Collection<?> items) {
            List<String> parts = new ArrayList<>();
            for (Object item : items) parts.add(show(item, item.getClass(), false, schema));
            return option("[" + String.join(", ", parts) + "]", nullable);
        }
        if (value instanceof String text) return option('"' + text + '"', nullable);
        return value == null ? "None" : value.toString();
    }

    private static Schema schemaOf(Message message) throws Exception {
        Schema[] schemas = (Schema[]) message.getClass().getField("SCHEMAS").get(null);
        return schemas[message.highestSupportedVersion()];
    }

    private static String show(ByteBuffer bytes) {
        List<String> parts = new ArrayList<>();
        while (bytes.hasRemaining()) parts.add(String.valueOf(bytes.get() & 0xff));
        return "[" + String.join(", ", parts) + "]";
    }

    private static String option(String text, boolean nullable) {
        return text == null ? "None" : nullable ? "Some(" + text + ")" : text;
    }

    /** Pairs of digits; a dash stands for no bytes. */
    private static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (byte b : bytes) out.append(String.format("%02x", b));
        return out.isEmpty() ? "-" : out.toString();
    }
}
