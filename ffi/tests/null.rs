//! Every function of the header is called with NULL for each of its pointers, one at a time, everything else being as it should
//! be: none may crash, and what each gives is compared with `null.txt`, so that a change of it is seen in review.
//!
//! The C program is made here from the header and the committed list of names: a function that is new is walked as well, and a
//! type that is new fails the test until `argument` knows of it. Each call runs in a child of its own.
//!
//! Environment: `UPDATE=1` writes `null.txt` anew.

mod library;

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A function of the header.
struct Function {
    name: String,
    returns: String,
    /// Type and name.
    parameters: Vec<(String, String)>,
}

/// The header without comments and directives, in words that one space divides.
fn plain_header() -> String {
    let header = std::fs::read_to_string(root().join("include/sstore.h")).unwrap();
    let mut plain = String::new();
    for (index, part) in header.split("/*").enumerate() {
        plain.push_str(if index == 0 { part } else { part.split_once("*/").unwrap().1 });
    }
    let lines: Vec<&str> = plain.lines().filter(|line| !line.starts_with('#')).collect();
    lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn functions() -> Vec<Function> {
    let (header, names) = (plain_header(), std::fs::read_to_string(root().join("ffi/abi/sstore.symbols")).unwrap());
    let parse = |name: &str| {
        let start = header.find(&format!(" {name}(")).or_else(|| header.find(&format!("*{name}(")));
        let start = start.unwrap_or_else(|| panic!("the header does not declare {name}")) + 1;
        let returns = header[..start].rsplit([';', '}', '{']).next().unwrap().trim().to_owned();
        let rest = &header[start + name.len() + 1..];
        let end = rest.find(");").unwrap();
        let mut parameters = Vec::new();
        for parameter in split_outside_parentheses(&rest[..end]).into_iter().filter(|parameter| parameter != "void") {
            // A pointer to a function has its name inside.
            let named = match parameter.split_once("(*") {
                Some((before, after)) => {
                    let (name, after) = after.split_once(')').unwrap();
                    (format!("{before}(*){after}"), name.to_owned())
                }
                None => {
                    let at = parameter.rfind(|c: char| !c.is_alphanumeric() && c != '_').unwrap() + 1;
                    (parameter[..at].trim().to_owned(), parameter[at..].to_owned())
                }
            };
            parameters.push(named);
        }
        Function { name: name.to_owned(), returns, parameters }
    };
    names.lines().map(parse).collect()
}

fn split_outside_parentheses(list: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in list.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(c),
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// Handles that `SETUP` makes, by their type.
const HANDLES: &[&str] = &[
    "batch",
    "column_family",
    "db",
    "error",
    "filter",
    "flush_token",
    "iterator",
    "list",
    "metrics",
    "options",
    "pinned",
    "row_builder",
    "scan",
    "segments",
    "snapshot",
    "table",
    "values",
];

/// Structs led by their size.
const STRUCTS: &[&str] = &[
    "close_options",
    "file",
    "files_info",
    "flush_result",
    "histogram",
    "iterator_options",
    "log_pin",
    "memory_use",
    "open_objects",
    "option_info",
    "read_options",
    "repair_options",
    "repair_summary",
    "repaired_file",
    "salvaged_segment",
    "segment",
    "split",
    "stats",
    "table_options",
    "write_options",
];

/// What Arrow a function takes or gives: how to make the first, or that the second is to be filled.
fn arrow(function: &str, kind: &str, name: &str, variable: &str) -> (String, String) {
    let is_given = matches!((function, name), ("sstore_table_schema" | "sstore_row_builder_finish", _))
        || matches!(
            (function, name),
            ("sstore_scan_execute" | "sstore_split_execute", _) | ("sstore_table_get", "row" | "row_schema")
        )
        || matches!((function, name), ("sstore_table_get_many", "rows" | "rows_schema"));
    let make = match (kind, name) {
        _ if is_given => format!("memset(&{variable}, 0x55, sizeof {variable})"),
        ("struct ArrowArrayStream *", _) => format!("CHECK(sstore_scan_execute(scan, &{variable}, NULL) == SSTORE_OK)"),
        ("struct ArrowArray *", "rows") => format!("make_rows(&{variable}, one_id, one_text, 1)"),
        ("struct ArrowArray *", "literal" | "literals") => format!("make_ids(&{variable}, one_id, 1)"),
        ("struct ArrowArray *", _) => format!("make_keys(&{variable}, one_id, 1)"),
        (_, "field") => format!("make_schema(&{variable}, \"l\", \"extra\", 1, 0)"),
        _ if function.starts_with("sstore_filter") => format!("make_schema(&{variable}, \"l\", \"\", 0, 0)"),
        _ if function.contains("_create") || function.contains("_append") || function.contains("_put_") => {
            format!("make_columns(&{variable})")
        }
        _ => format!(
            "make_schema(&{variable}, \"+s\", \"\", 0, 1); make_schema({variable}.children[0], \"l\", \"id\", 0, 0)"
        ),
    };
    let kind = kind.strip_suffix(" *").unwrap();
    (format!("{kind} {variable}; {make};"), format!("&{variable}"))
}

/// A good argument: declarations for it, and the expression. Requires: `number` is unlike that of other parameters.
fn argument(function: &str, (kind, name): &(String, String), number: usize) -> (String, String) {
    let variable = format!("v{number}");
    let plain = kind.trim_start_matches("const ").trim_start_matches("struct ");
    let pointee = plain.strip_suffix(" *").and_then(|kind| kind.strip_prefix("sstore_"));
    // What few functions take is made where they are called.
    let make_splits = format!("sstore_splits *{variable}; MADE(sstore_scan_splits(scan, 1, &{variable}, &error));");
    let expression = match (kind.as_str(), name.as_str()) {
        ("const struct sstore_splits *" | "struct sstore_splits *", _) => return (make_splits, variable),
        (_, "split" | "split_len") if function == "sstore_split_execute" => {
            let get = format!(
                "sstore_split of_{variable} = SSTORE_SPLIT_INIT; \
                 MADE(sstore_splits_get({variable}, 0, &of_{variable}, &error));"
            );
            let part = if name == "split" { "data" } else { "len" };
            return (make_splits + &get, format!("of_{variable}.bytes.{part}"));
        }
        (_, "database") => "path".to_owned(),
        ("const struct sstore_files *" | "struct sstore_files *", _) => {
            let live = format!(
                "sstore_files *{variable}; MADE(sstore_live_files(db, column_family, NULL, &{variable}, &error));"
            );
            return (live, variable);
        }
        ("const struct sstore_repair_report *" | "struct sstore_repair_report *", _) => {
            let report = format!("sstore_repair_report *{variable} = repaired(path);");
            return (report, variable);
        }
        (_, "path") if function == "sstore_repair" => "damaged(path)".to_owned(),
        (_, "new_path" | "directory") => "fresh_path".to_owned(),
        ("uint64_t", "sequence") => "sstore_snapshot_sequence(snapshot)".to_owned(),
        ("struct ArrowSchema *" | "struct ArrowArray *" | "struct ArrowArrayStream *", _) => {
            return arrow(function, kind, name, &variable);
        }
        (_, "path") => "fresh_path".to_owned(),
        ("const char *const *", _) => "one_name".to_owned(),
        ("const char *", "text") => "\"id > 0\"".to_owned(),
        ("const char *", "column") => "\"name\"".to_owned(),
        ("const char *", "new_name") => "\"renamed\"".to_owned(),
        ("const char *", "name") if function == "sstore_table_open" => "\"table\"".to_owned(),
        ("const char *", "name") if function.ends_with("_column") => "\"value\"".to_owned(),
        ("const struct sstore_table *const *", _) => "one_table".to_owned(),
        ("const struct sstore_filter *const *", _) => "one_filter".to_owned(),
        ("size_t", "column") if function.ends_with("64") => "0".to_owned(),
        ("const char *", "value") => "\"1MiB\"".to_owned(),
        ("const char *", "name") if function.starts_with("sstore_options_") => "\"write_buffer_bytes\"".to_owned(),
        ("const char *", "name") if function == "sstore_histogram_get" => "\"get\"".to_owned(),
        ("const char *", "name") if function.ends_with("_create") => "\"fresh\"".to_owned(),
        ("const char *", "name") => "\"family\"".to_owned(),
        ("const void *", _) => "\"k\"".to_owned(),
        ("void *", "buffer") => "room".to_owned(),
        ("void *", _) => "NULL".to_owned(),
        ("struct sstore_batch *" | "const struct sstore_batch *", "other") => "other".to_owned(),
        ("struct sstore_slice *", _) => "slices".to_owned(),
        ("const struct sstore_slice *", _) => "&one_key".to_owned(),
        ("const struct sstore_operation *", _) => "&one_operation".to_owned(),
        ("const struct sstore_column_family *const *", _) => "one_family".to_owned(),
        ("sstore_event_callback", _) => "on_event".to_owned(),
        ("sstore_log_callback", _) => "on_line".to_owned(),
        ("void (*)(void *user_data)", _) => "on_destroy".to_owned(),
        ("size_t", "capacity") => "4".to_owned(),
        ("size_t", "index" | "max_bytes") | ("uint64_t", "expected_sequence") => "0".to_owned(),
        ("size_t", _) | ("int32_t" | "uint32_t" | "int64_t" | "double", _) => "1".to_owned(),
        ("uint64_t", "timeout_millis") => "60000".to_owned(),
        ("uint64_t", _) => "1 << 20".to_owned(),
        ("struct sstore_error **", _) => "&error".to_owned(),
        _ if plain.ends_with(" **") || plain.ends_with("char **") || plain == "void **" => {
            let kind = kind.strip_suffix('*').unwrap();
            return (format!("{kind} {variable} = (void *)room;"), format!("&{variable}"));
        }
        ("size_t *" | "uint64_t *" | "int32_t *" | "uint8_t *", _) => {
            let kind = kind.strip_suffix(" *").unwrap();
            return (format!("{kind} {variable} = 0x55;"), format!("&{variable}"));
        }
        _ => match pointee {
            Some(handle) if HANDLES.contains(&handle) => handle.to_owned(),
            Some(kind) if STRUCTS.contains(&kind) => {
                let declared = format!(
                    "struct sstore_{kind} {variable}; memset(&{variable}, 0, sizeof {variable}); \
                     {variable}.struct_size = sizeof {variable};"
                );
                return (declared, format!("&{variable}"));
            }
            _ => panic!("{function}: say in `argument` what a good `{kind}` is"),
        },
    };
    (String::new(), expression)
}

fn is_pointer(kind: &str) -> bool {
    kind.contains('*') || kind.ends_with("_callback")
}

/// The body of one case: the call with NULL for the parameter `null`, its checks, and a line that says what came of it.
fn case(function: &Function, null: usize) -> String {
    let Function { name, returns, parameters } = function;
    let (mut declared, mut given, mut checks) = (String::new(), Vec::new(), String::new());
    for (number, parameter) in parameters.iter().enumerate() {
        let (declarations, expression) = argument(name, parameter, number);
        if number == null {
            given.push("NULL".to_owned());
            continue;
        }
        declared.push_str(&declarations);
        if declarations.contains("(void *)room") && returns.ends_with("sstore_code") {
            checks.push_str(&format!("CHECK(code == SSTORE_OK || {} == NULL);", &expression[1..]));
        }
        if declarations.contains("struct Arrow") {
            // What was taken is released; what was given has to be.
            let variable = &expression[1..];
            let is_given = declarations.contains("0x55");
            checks
                .push_str(&format!("CHECK({variable}.release == NULL || ({} && code == SSTORE_OK));", is_given as u8));
            checks.push_str(&format!("if ({variable}.release != NULL) {variable}.release(&{variable});"));
            checks.push_str("CHECK(unreleased == 0);");
        }
        given.push(expression);
    }
    let (call, subject) = (format!("{name}({})", given.join(", ")), format!("{name} {}", parameters[null].1));
    let told = match returns.as_str() {
        "enum sstore_code" => {
            let has_error = given.iter().any(|argument| argument == "&error");
            if has_error {
                checks.push_str(
                    "CHECK((error == NULL) == (code == SSTORE_OK || code == SSTORE_NOT_FOUND || code == SSTORE_TOO_SMALL));\
                     CHECK(error == NULL || sstore_error_code(error) == code);",
                );
            }
            format!(
                "sstore_code code = {call}; CHECK(code != SSTORE_PANIC); {checks} \
                 printf(\"{subject} %s\\n\", sstore_code_name(code));"
            )
        }
        "void" => format!("{call}; printf(\"{subject} returns\\n\");"),
        "const char *" => format!("const char *text = {call}; printf(\"{subject} %s\\n\", text ? text : \"NULL\");"),
        kind if kind.contains('*') => format!("printf(\"{subject} %s\\n\", {call} ? \"pointer\" : \"NULL\");"),
        _ => format!("printf(\"{subject} %lld\\n\", (long long){call});"),
    };
    format!("sstore_error *error = (void *)room; (void)error; {declared} {told}")
}

const PROGRAM: &str = r#"
#include "arrow.h"
#include <sys/wait.h>
#include <unistd.h>

/* In a case: another name for `error` there. */
#define MADE(call) \
    do { \
        sstore_error *error = NULL; \
        CHECK((call) == SSTORE_OK); \
    } while (0)

static char room[64];
static void on_event(void *data, const sstore_event *event) { (void)data; (void)event; }
static void on_line(void *data, const sstore_log_line *line) { (void)data; (void)line; }
static void on_destroy(void *data) { (void)data; }

/* A database that nobody has open. */
static const char *damaged(const char *path)
{
    static char place[600];
    sstore_db *db;
    snprintf(place, sizeof place, "%s.damaged", path);
    MADE(sstore_open(place, NULL, &db, &error));
    MADE(sstore_put(db, NULL, NULL, "k", 1, "v", 1, NULL, &error));
    MADE(sstore_close(db, NULL, &error));
    return place;
}

static sstore_repair_report *repaired(const char *path)
{
    static char place[600];
    sstore_repair_report *report;
    snprintf(place, sizeof place, "%s.repaired", path);
    MADE(sstore_repair(damaged(path), place, NULL, NULL, &report, &error));
    return report;
}

static void walk(int number, const char *directory)
{
    char path[512], fresh_path[512];
    snprintf(path, sizeof path, "%s.%d", directory, number);
    snprintf(fresh_path, sizeof fresh_path, "%s.%d.fresh", directory, number);
    sstore_slice slices[4] = {{NULL, 0}}, one_key = {"k", 1};
    sstore_operation one_operation = {SSTORE_OPERATION_PUT, 0, NULL, {"o", 1}, {"v", 1}};
    sstore_batch *batch, *other;
    sstore_column_family *column_family;
    sstore_db *db;
    sstore_error *error;
    sstore_flush_token *flush_token;
    sstore_iterator *iterator;
    sstore_list *list;
    sstore_metrics *metrics;
    sstore_options *options;
    sstore_pinned *pinned;
    sstore_segments *segments;
    sstore_snapshot *snapshot;
    sstore_values *values;
    sstore_filter *filter;
    sstore_row_builder *row_builder;
    sstore_scan *scan;
    sstore_table *table;
    static const int64_t one_id[1] = {1};
    static const char *const one_text[1] = {"text"}, *const one_name[1] = {"id"};
    struct ArrowSchema columns;
    struct ArrowArray row;
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "flush_on_close", "false", &error));
    GIVES(SSTORE_OK, sstore_open(path, options, &db, &error));
    GIVES(SSTORE_OK, sstore_column_family_create(db, "family", NULL, &column_family, &error));
    GIVES(SSTORE_OK, sstore_put(db, column_family, NULL, "k", 1, "v", 1, NULL, &error));
    GIVES(SSTORE_OK, sstore_batch_create(&batch, &error));
    GIVES(SSTORE_OK, sstore_batch_put(batch, NULL, "b", 1, "v", 1, &error));
    GIVES(SSTORE_OK, sstore_batch_create(&other, &error));
    GIVES(SSTORE_OK, sstore_flush(db, NULL, 0, &flush_token, &error));
    GIVES(SSTORE_OK, sstore_flush_token_wait(flush_token, 60000, &error));
    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "k", 1, "v", 1, NULL, &error));
    GIVES(SSTORE_OK, sstore_snapshot_create(db, &snapshot, &error));
    GIVES(SSTORE_OK, sstore_iterator_create(db, NULL, NULL, &iterator, &error));
    GIVES(SSTORE_OK, sstore_iterator_seek_to_first(iterator, &error));
    GIVES(SSTORE_OK, sstore_column_family_list(db, &list, &error));
    GIVES(SSTORE_OK, sstore_metrics_create(db, &metrics, &error));
    GIVES(SSTORE_OK, sstore_get_pinned(db, NULL, NULL, "k", 1, &pinned, slices, NULL, &error));
    GIVES(SSTORE_OK, sstore_multi_get(db, NULL, NULL, &one_key, 1, &values, &error));
    GIVES(SSTORE_OK, sstore_segments_list(db, column_family, &segments, &error));
    make_columns(&columns);
    GIVES(SSTORE_OK, sstore_table_create(db, "table", &columns, one_name, 1, NULL, NULL, &table, &error));
    make_rows(&row, one_id, one_text, 1);
    GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &row, NULL, NULL, &error));
    GIVES(SSTORE_OK, sstore_filter_parse("id > 0", &filter, &error));
    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_row_builder_create(db, table, SSTORE_ROW_FULL, &row_builder, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_i64(row_builder, 0, 1, &error));
    GIVES(SSTORE_OK, sstore_row_builder_append(row_builder, &error));
    CHECK(sstore_column_family_drop(db, NULL, &error) == SSTORE_INVALID_ARGUMENT);
    const sstore_column_family *one_family[1] = {column_family};
    const sstore_table *one_table[1] = {table};
    const sstore_filter *one_filter[1] = {filter};
    switch (number) {
@CASES@
    }
    fflush(stdout);
    sstore_error_free(error);
    sstore_values_free(values);
    sstore_pinned_free(pinned);
    sstore_segments_free(segments);
    sstore_metrics_free(metrics);
    sstore_list_free(list);
    sstore_iterator_free(iterator);
    sstore_snapshot_free(snapshot);
    sstore_flush_token_free(flush_token);
    sstore_batch_free(other);
    sstore_batch_free(batch);
    sstore_column_family_free(column_family);
    sstore_options_free(options);
    sstore_row_builder_free(row_builder);
    sstore_scan_free(scan);
    sstore_filter_free(filter);
    sstore_table_free(table);
    sstore_release(db);
    (void)one_operation, (void)one_family, (void)one_table, (void)one_filter, (void)fresh_path;
}

int main(int argc, char **argv)
{
    int failed = 0;
    CHECK(argc == 2);
    /* The parent never calls the library, so a child may. */
    for (int number = 0; number < @COUNT@; number++) {
        int status;
        pid_t child;
        fflush(stdout);
        child = fork();
        if (child == 0) {
            walk(number, argv[1]);
            _exit(0);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        if (status != 0) {
            printf("case %d ends with status %d\n", number, status);
            failed = 1;
        }
    }
    return failed;
}
"#;

#[test]
fn null_for_any_pointer_gives_a_code_or_does_nothing() {
    let (mut cases, mut count) = (String::new(), 0);
    for function in functions() {
        for (null, (kind, _)) in function.parameters.iter().enumerate() {
            if is_pointer(kind) {
                cases.push_str(&format!("    case {count}: {{ {} break; }}\n", case(&function, null)));
                count += 1;
            }
        }
    }
    assert!(count > 200, "only {count} cases");
    let work = tempfile::tempdir().unwrap();
    let (source, program) = (work.path().join("null.c"), work.path().join("null"));
    std::fs::write(&source, PROGRAM.replace("@CASES@", &cases).replace("@COUNT@", &count.to_string())).unwrap();
    let library = work.path().join("libsstore.so.0");
    std::os::unix::fs::symlink(library::built(), &library).unwrap();
    let compiled = Command::new("gcc")
        .args(["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_POSIX_C_SOURCE=200809L"])
        .args([Path::new("-I"), &root().join("include"), Path::new("-I"), &root().join("ffi/tests/c")])
        .args([&source, &library, Path::new("-pthread"), Path::new("-o"), &program])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&program)
        .arg(work.path().join("db"))
        .env("LD_LIBRARY_PATH", work.path())
        .current_dir(work.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let expected = root().join("ffi/tests/null.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected, &printed).unwrap();
    }
    let expected = std::fs::read_to_string(&expected).unwrap();
    let differs = printed.lines().zip(expected.lines()).find(|(printed, expected)| printed != expected);
    assert!(
        printed == expected,
        "not what null.txt says: {differs:?} and {} lines for {}; UPDATE=1 writes it anew: read the difference",
        printed.lines().count(),
        expected.lines().count()
    );
}
