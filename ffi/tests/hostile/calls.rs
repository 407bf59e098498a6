//! C for every function of the header: a call with good arguments in which one thing is twisted, the checks of what the call
//! gives, and tables that say what can be twisted. Called by `main.rs`; `cases.h` has the types, `program.c` what is tried.
//!
//! Promises that a function, a type or a parameter that nothing is known of panics with its name.

use crate::header::{Function, Header};
use std::fmt::Write;

/// A parameter in C.
struct Argument {
    /// Statements that make what it points to.
    made: String,
    expression: String,
    /// Of `enum parameter_kind`.
    kind: &'static str,
    /// The type of a handle, or 0.
    handle: String,
    /// A table of members that can be twisted, the variable that they lie in, and the size of a struct.
    members: Option<(String, String, String)>,
    /// What is looked at and freed after the call.
    after: String,
}

impl Argument {
    fn new(kind: &'static str, expression: impl Into<String>) -> Self {
        Self {
            made: String::new(),
            expression: expression.into(),
            kind,
            handle: "0".to_owned(),
            members: None,
            after: String::new(),
        }
    }

    fn after(mut self, made: String, after: String) -> Self {
        (self.made, self.after) = (made, after);
        self
    }
}

/// The whole generated part.
pub fn program(header: &Header) -> String {
    let mut out = String::new();
    let handles: Vec<&str> = header.handles.iter().map(String::as_str).collect();
    let types: Vec<String> = handles.iter().map(|name| format!("TYPE_{name}")).collect();
    let _ = writeln!(out, "enum handle_type {{ TYPE_none, {}, TYPES }};", types.join(", "));
    let _ = writeln!(out, "static const char *const type_names[] = {{\"none\", \"{}\"}};", handles.join("\", \""));
    let _ = writeln!(out, "#include \"cases.h\"\n#include \"world.h\"");
    out.push_str("static void free_handle(int type, void *handle)\n{\n    switch (type) {\n");
    for name in &handles {
        let free = if *name == "db" { "sstore_release".to_owned() } else { format!("sstore_{name}_free") };
        let _ = writeln!(out, "    case TYPE_{name}: {free}(handle); break;");
    }
    out.push_str("    }\n}\n");
    out.push_str("static const struct member members_handles[] = {\n");
    let elements: Vec<String> =
        handles.iter().map(|name| format!("{{\"[0]\", MEMBER_HANDLE, 0, sizeof(void *), TYPE_{name}}}")).collect();
    let _ = writeln!(out, "{{\"\", 0, 0, 0, 0}}, {}}};", elements.join(",\n"));
    out.push_str(
        "static const struct member members_slice[] = {{\"[0]\", MEMBER_SLICE, 0, sizeof(sstore_slice), 0}};\n",
    );
    out.push_str("static const struct member members_text[] = {{\"[0]\", MEMBER_TEXT, 0, sizeof(char *), 0}};\n");
    for (name, members) in &header.structs {
        if name == "slice" || name == "event" {
            continue;
        }
        let _ = writeln!(out, "static const struct member members_{name}[] = {{");
        for (kind, member) in members {
            let pointee = pointee(kind);
            let (kind, handle) = match kind.as_str() {
                "uint32_t" | "uint64_t" | "size_t" => ("MEMBER_NUMBER", "none"),
                "struct sstore_slice" => ("MEMBER_SLICE", "none"),
                "const char *" | "const char *const *" | "const uint64_t *" => ("MEMBER_POINTER", "none"),
                _ => match pointee {
                    Some(handle) if header.handles.contains(handle) => ("MEMBER_HANDLE", handle),
                    _ => panic!("sstore_{name}: say what can be twisted in a member `{kind} {member}`"),
                },
            };
            let place = format!("offsetof(sstore_{name}, {member}), sizeof(((sstore_{name} *)0)->{member})");
            let _ = writeln!(out, "    {{\"{member}\", {kind}, {place}, TYPE_{handle}}},");
        }
        out.push_str("};\n");
    }
    let mut table = String::new();
    for function in &header.functions {
        call(&mut out, &mut table, header, function);
    }
    let _ = writeln!(out, "static const struct function functions[] = {{\n{table}}};");
    out
}

/// X of `[const] struct sstore_X *`.
fn pointee(kind: &str) -> Option<&str> {
    kind.trim_start_matches("const ").strip_prefix("struct sstore_")?.strip_suffix(" *")
}

/// X of `const struct sstore_X *const *`.
fn element(kind: &str) -> Option<&str> {
    kind.strip_prefix("const struct sstore_")?.strip_suffix(" *const *")
}

fn call(out: &mut String, table: &mut String, header: &Header, function: &Function) {
    let Function { name, returns, parameters, documented } = function;
    let arguments: Vec<Argument> =
        parameters.iter().enumerate().map(|(number, parameter)| argument(header, name, parameter, number)).collect();
    let mut body = String::new();
    for (number, (argument, (kind, _))) in arguments.iter().zip(parameters).enumerate() {
        body.push_str(&argument.made);
        if let Some((_, room, _)) = &argument.members {
            let _ = writeln!(body, "    twist_members(t, {number}, (unsigned char *)&{room});");
        }
        let declared = match kind.as_str() {
            "void (*)(void *user_data)" => format!("void (*a{number})(void *)"),
            kind => format!("{kind} a{number}"),
        };
        let value = match argument.kind {
            "PARAMETER_NUMBER" => format!("({kind})t->number"),
            "PARAMETER_CALLBACK" => "NULL".to_owned(),
            _ => format!("({kind})(uintptr_t)t->pointer"),
        };
        let how = if argument.kind == "PARAMETER_NUMBER" { "TWIST_NUMBER" } else { "TWIST_POINTER" };
        let _ = writeln!(body, "    {declared} = IS({number}, {how}) ? {value} : {};", argument.expression);
    }
    // What is handed over is made last, so that it is not left behind when it is NULL instead.
    for (number, argument) in arguments.iter().enumerate().filter(|(_, argument)| argument.kind == "PARAMETER_TAKEN") {
        let make = &argument.handle;
        let _ = writeln!(body, "    if (a{number} != NULL) {{ {make}; }}");
    }
    let given: Vec<String> = (0..parameters.len()).map(|number| format!("a{number}")).collect();
    let call = format!("{name}({})", given.join(", "));
    let has_code = parameters.iter().any(|(kind, _)| kind == "struct sstore_error **");
    let called = match returns.as_str() {
        "sstore_code" if has_code => format!("o->code = {call}; o->ok = o->code == SSTORE_OK;"),
        "void" => format!("{call}; o->ok = 1;"),
        "const char *" => {
            format!("const char *text = {call}; o->value = text == NULL ? 0 : 1 + strlen(text); o->ok = 1;")
        }
        kind if kind.contains('*') => format!("o->value = {call} != NULL; o->ok = 1;"),
        _ => format!("o->value = (uint64_t){call}; o->ok = 1;"),
    };
    let _ = writeln!(body, "    {called}");
    for (number, argument) in arguments.iter().enumerate().filter(|(_, argument)| !argument.after.is_empty()) {
        let _ = writeln!(body, "    if (a{number} != NULL) {{ {} }}", argument.after);
    }
    let _ = writeln!(
        out,
        "static void call_{name}(struct world *w, const struct twist *t, struct outcome *o)\n{{\n    (void)w; (void)t;\n{body}}}"
    );
    let mut rows = String::new();
    for ((_, parameter), argument) in parameters.iter().zip(&arguments) {
        let handle = if argument.kind == "PARAMETER_TAKEN" { "0" } else { &argument.handle };
        let members = match &argument.members {
            // An array of handles: one element of that type.
            Some((table, ..)) if table == "handles" => format!("members_handles + {handle}, 1, 0"),
            Some((table, _, size)) => {
                format!("members_{table}, sizeof members_{table} / sizeof *members_{table}, {size}")
            }
            None => "NULL, 0, 0".to_owned(),
        };
        let _ = write!(rows, "{{\"{parameter}\", {}, {handle}, {members}}}, ", argument.kind);
    }
    let codes = documented.iter().map(|code| format!("1u << SSTORE_{code}")).collect::<Vec<_>>().join(" | ");
    let codes = if codes.is_empty() { "0".to_owned() } else { codes };
    let list = if rows.is_empty() { "NULL".to_owned() } else { format!("parameters_{name}") };
    if !rows.is_empty() {
        let _ = writeln!(out, "static const struct parameter parameters_{name}[] = {{{rows}}};");
    }
    let _ = writeln!(
        table,
        "    {{\"{name}\", call_{name}, {list}, {}, {codes}, {}, {}}},",
        parameters.len(),
        u8::from(has_code),
        u8::from(name.ends_with("_free") || name == "sstore_release" || name == "sstore_close"),
    );
}

/// A good argument. Its variables carry its number, to be unlike those of others.
fn argument(header: &Header, function: &str, (kind, name): &(String, String), number: usize) -> Argument {
    if kind.contains("struct Arrow") {
        return arrow(function, kind, name, number);
    }
    let (variable, room) = (format!("v{number}"), format!("s{number}"));
    let after_code = |after: &str| format!("{after}(o, {variable});");
    let text = |text: &str| Argument::new("PARAMETER_TEXT", format!("\"{text}\""));
    match (kind.as_str(), name.as_str()) {
        ("struct sstore_error **", _) => Argument::new("PARAMETER_ERROR", "&o->error"),
        ("sstore_event_callback", _) => Argument::new("PARAMETER_CALLBACK", "on_event"),
        ("sstore_log_callback", _) => Argument::new("PARAMETER_CALLBACK", "on_line"),
        ("sstore_import_callback", _) => Argument::new("PARAMETER_CALLBACK", "on_import"),
        ("sstore_progress_callback", _) => Argument::new("PARAMETER_CALLBACK", "on_progress"),
        ("void (*)(void *user_data)", _) => Argument::new("PARAMETER_CALLBACK", "on_destroy"),
        // What is to be freed, or passed on: no handle, so nothing but NULL may be put in its place.
        ("void *", "memory") => Argument::new("PARAMETER_NULLABLE", "memory_of(w)"),
        ("void *", "user_data") => Argument::new("PARAMETER_NULLABLE", "w"),
        ("void *", "buffer") => Argument::new("PARAMETER_NULLABLE", "w->room"),
        ("const void *", "split") => Argument::new("PARAMETER_BYTES", "w->split.data"),
        ("const void *", _) => Argument::new("PARAMETER_BYTES", "\"k\""),
        ("size_t", "split_len") => Argument::new("PARAMETER_NUMBER", "w->split.len"),
        ("size_t", "column") => {
            let column = match function.strip_prefix("sstore_row_builder_set_").unwrap_or_default() {
                "i64" | "u64" => "0",
                "bytes" | "null" => "1",
                "f64" => "2",
                "bool" => "3",
                _ => panic!("{function}: say which column of the table in `world.h` fits"),
            };
            Argument::new("PARAMETER_NUMBER", column)
        }
        ("size_t", "capacity") => Argument::new("PARAMETER_NUMBER", "4"),
        ("uint64_t", "expected_sequence") => Argument::new("PARAMETER_NUMBER", "w->key_sequence"),
        ("size_t", "index" | "max_bytes") => Argument::new("PARAMETER_NUMBER", "0"),
        ("uint64_t", "sequence") => Argument::new("PARAMETER_NUMBER", "w->sequence"),
        ("uint64_t", "timeout_millis") => Argument::new("PARAMETER_NUMBER", "20000"),
        ("uint64_t", _) => Argument::new("PARAMETER_NUMBER", "1 << 20"),
        ("size_t" | "int32_t" | "uint32_t" | "int64_t" | "double", _) => Argument::new("PARAMETER_NUMBER", "1"),
        ("const char *", "path") if function.starts_with("sstore_repair") => {
            Argument::new("PARAMETER_PATH", "w->damaged")
        }
        ("const char *", "path") if function == "sstore_import_leveldb" => {
            Argument::new("PARAMETER_PATH", "w->leveldb")
        }
        ("const char *", "path" | "new_path" | "directory") => Argument::new("PARAMETER_PATH", "w->fresh"),
        ("const char *", "database") => Argument::new("PARAMETER_PATH", "w->path"),
        ("const char *", "text") => text("id > 0"),
        ("const char *", "column") => text("name"),
        ("const char *", "value") => text("1MiB"),
        ("const char *", "new_name") => text("renamed"),
        ("const char *", "name") => text(match function {
            "sstore_table_open" => "table",
            "sstore_histogram_get" => "get",
            "sstore_column_family_open" => "family",
            _ if function.starts_with("sstore_options_") => "write_buffer_bytes",
            _ if function.ends_with("_create") => "fresh",
            _ if function.ends_with("_column") => "value",
            _ => panic!("{function}: say in `argument` what a good `{name}` is"),
        }),
        ("const char *const *", _) => {
            with_members("text", &room, format!("const char *{room}[1] = {{\"id\"}};"), &room)
        }
        ("const struct sstore_slice *", _) => {
            with_members("slice", &room, format!("sstore_slice {room}[1] = {{{{\"k\", 1}}}};"), &room)
        }
        ("const struct sstore_operation *", _) => {
            let made = format!(
                "sstore_operation {room}[1] = {{{{SSTORE_OPERATION_PUT, 0, NULL, {{\"o\", 1}}, {{\"v\", 1}}}}}};"
            );
            with_members("operation", &room, made, &room)
        }
        ("struct sstore_slice *", "keys" | "values") => Argument::new("PARAMETER_NULLABLE", "w->slices"),
        ("struct sstore_slice *", _) => Argument::new("PARAMETER_OUT", format!("&{variable}"))
            .after(format!("    sstore_slice {variable} = {{w->room, UNWRITTEN}};\n"), after_code("after_slice")),
        ("void **" | "char **", _) => Argument::new("PARAMETER_OUT", format!("&{variable}")).after(
            format!("    {}{variable} = (void *)w->room;\n", kind.strip_suffix('*').unwrap()),
            after_code("after_memory"),
        ),
        ("const char **", _) => Argument::new("PARAMETER_OUT", format!("&{variable}"))
            .after(format!("    const char *{variable} = w->room;\n"), after_code("after_text")),
        ("size_t *" | "uint64_t *" | "int32_t *", _) => Argument::new("PARAMETER_OUT", format!("&{variable}")).after(
            format!("    {} {variable} = UNWRITTEN;\n", kind.strip_suffix(" *").unwrap()),
            after_code("after_number"),
        ),
        ("uint8_t *", _) => Argument::new("PARAMETER_OUT", "(uint8_t *)w->bytes"),
        _ => {
            if let Some(handle) = element(kind) {
                let made = format!("const void *{room}[1] = {{w->handle[TYPE_{handle}]}};");
                let mut argument = with_members("handles", &room, made, &format!("({kind})(const void *){room}"));
                argument.handle = format!("TYPE_{handle}");
                return argument;
            }
            if let Some(handle) = kind.strip_prefix("struct sstore_").and_then(|kind| kind.strip_suffix(" **"))
                && header.handles.contains(handle)
            {
                return Argument::new("PARAMETER_OUT", format!("&{variable}")).after(
                    format!("    sstore_{handle} *{variable} = (void *)w->room;\n"),
                    format!("after_handle(o, TYPE_{handle}, {variable});"),
                );
            }
            let pointee =
                pointee(kind).unwrap_or_else(|| panic!("{function}: say in `argument` what a good `{kind} {name}` is"));
            if header.handles.contains(pointee) {
                let handle = match (function, name.as_str()) {
                    (_, "other") => "w->other_batch".to_owned(),
                    ("sstore_row_builder_append", _) => "w->begun".to_owned(),
                    ("sstore_refresh", _) => "w->reader".to_owned(),
                    _ => format!("w->handle[TYPE_{pointee}]"),
                };
                let mut argument = Argument::new("PARAMETER_HANDLE", handle);
                argument.handle = format!("TYPE_{pointee}");
                return argument;
            }
            let members = header.structs.get(pointee).unwrap_or_else(|| panic!("{function}: what is a `{kind}`?"));
            assert_eq!(members[0].1, "struct_size", "{function}: say in `argument` what a good `{kind}` is");
            let (is_given, filler) = if kind.starts_with("const ") { (true, "0") } else { (false, "0x55") };
            let force = if pointee == "close_options" {
                format!("{room}.s.force = 1; {room}.s.flush = 2;")
            } else {
                String::new()
            };
            let made = format!(
                "union {{ sstore_{pointee} s; unsigned char bytes[sizeof(sstore_{pointee}) + 64]; }} {room}; \
                 memset(&{room}, {filler}, sizeof {room}); {room}.s.struct_size = sizeof(sstore_{pointee}); {force}"
            );
            let mut argument = with_members(pointee, &room, made, &format!("&{room}.s"));
            argument.kind = if is_given { "PARAMETER_STRUCT" } else { "PARAMETER_FILLED" };
            if !is_given {
                argument.after =
                    format!("after_filled(o, (unsigned char *)&{room}, sizeof(sstore_{pointee}), sizeof {room});");
            }
            argument
        }
    }
}

fn with_members(table: &str, room: &str, made: String, expression: &str) -> Argument {
    let mut argument = Argument::new("PARAMETER_ARRAY", expression);
    argument.made = format!("    {made}\n");
    let size =
        if matches!(table, "handles" | "slice" | "text") { "0".to_owned() } else { format!("sizeof(sstore_{table})") };
    argument.members = Some((table.to_owned(), room.to_owned(), size));
    argument
}

/// Arrow that a function takes, with how it is made in `handle`, or that it gives.
fn arrow(function: &str, kind: &str, name: &str, number: usize) -> Argument {
    let (kind, variable) = (kind.strip_suffix(" *").unwrap(), format!("v{number}"));
    let is_given = matches!(
        (function, name),
        ("sstore_table_schema" | "sstore_row_builder_finish" | "sstore_scan_execute" | "sstore_split_execute", _)
            | ("sstore_table_get", "row" | "row_schema")
    ) || (function == "sstore_table_get_many" && matches!(name, "rows" | "rows_schema"));
    let made = format!("    {kind} {variable}; memset(&{variable}, 0x55, sizeof {variable});\n");
    if is_given {
        let after = format!(
            "if (!o->ok) EXPECT({variable}.release == NULL); else if ({variable}.release != NULL) {variable}.release(&{variable});"
        );
        return Argument::new("PARAMETER_OUT", format!("&{variable}")).after(made, after);
    }
    let is_rows = ["_create", "_append", "_put_"].iter().any(|part| function.contains(part));
    let make = match (kind, name) {
        ("struct ArrowArrayStream", _) => "one_batch",
        ("struct ArrowArray", "rows") => "one_row",
        ("struct ArrowArray", "literal" | "literals") => "one_id",
        ("struct ArrowArray", _) => "one_key",
        (_, "field") if function == "sstore_table_widen_column" => "wider_column",
        (_, "field") => "extra_column",
        _ if function.starts_with("sstore_filter") => "id_type",
        _ if is_rows => "all_columns",
        _ => "key_columns",
    };
    let after = format!("EXPECT({variable}.release == NULL);");
    let mut argument = Argument::new("PARAMETER_TAKEN", format!("&{variable}")).after(made, after);
    argument.handle = format!("{make}(&{variable})");
    argument
}
