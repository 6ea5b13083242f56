//! Schema files on disk: a folder a subject, a file a version.
//!
//! Owns: finding files, subjects, the natural order of versions, who refers to whom.
//! Does not own: registering, compiling.
//! Bounded by: [`FILES_MAX`] files, 16 MiB each.
//! Absent: `$ref` between JSON Schema files.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Code, Fault, Kind};
use crate::registry::Language;
use crate::registry::compile::{Reference, TEXT_MAX, protobuf_imports};

/// Most files taken at once.
pub const FILES_MAX: usize = 10_000;
/// Deepest folder.
const DEPTH_MAX: usize = 32;

pub static FILES: Code = Code {
    id: "FB1020",
    kind: Kind::Halt,
    title: "schema files that cannot be used",
    help: "Name files that end in `.proto`, `.avsc` or `.json` (JSON Schema), or folders of them: a folder a subject, a file a version. Files they import must be among them.",
};

/// One file: one version of one subject.
#[derive(Debug, Clone)]
pub struct SchemaFile {
    pub path: PathBuf,
    pub subject: String,
    pub language: Language,
    pub text: String,
    /// Name under which this file refers to another, and that file's place in the list.
    pub references: Vec<(String, usize)>,
}

/// Reads files and folders, in an order in which they can be registered: versions of a subject one
/// after the other, referenced files before those that refer to them.
///
/// `subject` names the subject of all files; by default it is the name of a file's folder.
/// Error: [`FILES`].
pub fn read(paths: &[PathBuf], subject: Option<&str>) -> Result<Vec<SchemaFile>, Fault> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for path in paths {
        find(path, 0, &mut found)?;
    }
    found.retain(|path| seen.insert(path.clone()));
    if found.is_empty() {
        return Err(Fault::new(
            &FILES,
            "schema files: none found, `.proto`, `.avsc` or `.json` required",
        ));
    }
    let mut files =
        found.into_iter().map(|path| open(path, subject)).collect::<Result<Vec<_>, Fault>>()?;
    link(&mut files)?;
    order(files)
}

/// Every schema that a file refers to, directly or not, as the compiler takes them.
pub fn references(files: &[SchemaFile], index: usize) -> Vec<Reference> {
    let mut found: Vec<Reference> = Vec::new();
    let mut stack: Vec<&(String, usize)> = files[index].references.iter().collect();
    while let Some((name, index)) = stack.pop() {
        if !found.iter().any(|r| r.name == *name) {
            found.push(Reference { name: name.clone(), text: files[*index].text.clone() });
            stack.extend(&files[*index].references);
        }
    }
    found
}

fn io(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(&FILES, format!("schema file `{}`: {error}", path.display()))
}

fn language(path: &Path) -> Option<Language> {
    match path.extension()?.to_str()? {
        "proto" => Some(Language::Protobuf),
        "avsc" => Some(Language::Avro),
        "json" => Some(Language::Json),
        _ => None,
    }
}

fn find(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Fault> {
    let meta = std::fs::metadata(path).map_err(|e| io(path, &e))?;
    if meta.is_file() {
        return if language(path).is_some() {
            found.push(path.to_owned());
            Ok(())
        } else {
            Err(Fault::new(
                &FILES,
                format!("schema file `{}`: `.proto`, `.avsc` or `.json` required", path.display()),
            ))
        };
    }
    let mut entries = std::fs::read_dir(path)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .map_err(|e| io(path, &e))?;
    entries.retain(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    entries.sort_by_cached_key(|entry| natural(&entry.file_name().to_string_lossy()));
    for path in entries.iter().map(std::fs::DirEntry::path) {
        if depth >= DEPTH_MAX || found.len() >= FILES_MAX {
            return Err(Fault::new(
                &FILES,
                format!("schema files: over {FILES_MAX}, or folders over {DEPTH_MAX} deep"),
            ));
        }
        if path.is_dir() || language(&path).is_some() {
            find(&path, depth + 1, found)?;
        }
    }
    Ok(())
}

/// A key by which `v2` comes before `v10`: texts, and numbers without leading zeros by length.
fn natural(name: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    let mut digits = None;
    for c in name.chars() {
        if digits != Some(c.is_ascii_digit()) {
            digits = Some(c.is_ascii_digit());
            parts.push((0, String::new()));
        }
        if let Some((_, part)) = parts.last_mut() {
            part.push(c);
        }
    }
    for (length, part) in &mut parts {
        if part.starts_with(|c: char| c.is_ascii_digit()) {
            *part = part.trim_start_matches('0').to_owned();
            *length = part.len();
        } else {
            // Texts come after numbers, and among themselves by letter.
            *length = usize::MAX;
        }
    }
    parts
}

fn open(path: PathBuf, subject: Option<&str>) -> Result<SchemaFile, Fault> {
    let fault = |why: &str| Fault::new(&FILES, format!("schema file `{}`: {why}", path.display()));
    let size = std::fs::metadata(&path).map_err(|e| io(&path, &e))?.len();
    if size > TEXT_MAX as u64 {
        return Err(fault("over 16 MiB"));
    }
    let text = std::fs::read_to_string(&path).map_err(|e| io(&path, &e))?;
    let language = language(&path).ok_or_else(|| fault("no schema file"))?;
    let above = |path: PathBuf| Some(path.parent()?.file_name()?.to_str()?.to_owned());
    let folder = || {
        // `../v2.proto` says no name.
        std::path::absolute(&path).ok().and_then(above).or_else(|| above(path.canonicalize().ok()?))
    };
    let subject = subject
        .map(str::to_owned)
        .or_else(folder)
        .ok_or_else(|| fault("its folder has no name to be the subject; use `--subject`"))?;
    Ok(SchemaFile { path, subject, language, text, references: Vec::new() })
}

/// Finds what each file refers to.
fn link(files: &mut [SchemaFile]) -> Result<(), Fault> {
    let mut defined: HashMap<String, Vec<usize>> = HashMap::new();
    let mut used = Vec::new();
    for (i, file) in files.iter().enumerate() {
        match file.language {
            Language::Avro => {
                let names = avro_names(&file.text);
                if let Some(name) = names.top {
                    defined.entry(name).or_default().push(i);
                }
                used.push(names.used);
            }
            Language::Protobuf => used.push(
                protobuf_imports(&file.text).map_err(|f| f.at(file.path.display().to_string()))?,
            ),
            Language::Json => used.push(Vec::new()),
        }
    }
    for (i, names) in used.into_iter().enumerate() {
        for name in names {
            let to = match files[i].language {
                Language::Protobuf => Some(imported(files, i, &name)?),
                // The newest version that defines it; a name nobody here defines is left to the
                // compiler, which says so.
                _ => defined.get(&name).and_then(|all| {
                    all.iter().rev().find(|&&j| files[j].subject != files[i].subject).copied()
                }),
            };
            if let Some(to) = to {
                files[i].references.push((name, to));
            }
        }
    }
    Ok(())
}

/// The file whose path ends with the import's.
fn imported(files: &[SchemaFile], by: usize, import: &str) -> Result<usize, Fault> {
    let found: Vec<usize> = files
        .iter()
        .enumerate()
        .filter(|(i, file)| *i != by && file.path.ends_with(import))
        .map(|(i, _)| i)
        .collect();
    match found.as_slice() {
        [one] => Ok(*one),
        many => {
            let how = if many.is_empty() { "no file" } else { "several files" };
            Err(Fault::new(
                &FILES,
                format!(
                    "schema file `{}`: import `{import}` names {how} among the paths, one required; add it to the paths",
                    files[by].path.display()
                ),
            ))
        }
    }
}

/// Sorts so that every file comes after those it needs.
fn order(files: Vec<SchemaFile>) -> Result<Vec<SchemaFile>, Fault> {
    let mut before: HashMap<&str, usize> = HashMap::new();
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(files.len());
    for (i, file) in files.iter().enumerate() {
        let mut all: Vec<usize> = file.references.iter().map(|(_, to)| *to).collect();
        all.extend(before.insert(&file.subject, i));
        needs.push(all);
    }
    let mut place = vec![None; files.len()];
    let mut sorted = Vec::with_capacity(files.len());
    while sorted.len() < files.len() {
        let ready = |&i: &usize| place[i].is_none() && needs[i].iter().all(|&n| place[n].is_some());
        let Some(next) = (0..files.len()).find(ready) else {
            let stuck = files.iter().zip(&place).find(|(_, place)| place.is_none());
            let path = stuck.map(|(file, _)| file.path.display().to_string()).unwrap_or_default();
            return Err(Fault::new(
                &FILES,
                format!(
                    "schema file `{path}`: it needs itself, through its references or an earlier version of its subject"
                ),
            ));
        };
        place[next] = Some(sorted.len());
        sorted.push(next);
    }
    let mut taken: Vec<Option<SchemaFile>> = files.into_iter().map(Some).collect();
    let mut out = Vec::with_capacity(sorted.len());
    for index in sorted {
        if let Some(mut file) = taken[index].take() {
            for (_, to) in &mut file.references {
                *to = place[*to].unwrap_or(*to);
            }
            out.push(file);
        }
    }
    Ok(out)
}

#[derive(Default)]
struct AvroNames {
    top: Option<String>,
    used: Vec<String>,
}

/// The name a schema defines at its top, and the names it uses and does not define.
fn avro_names(text: &str) -> AvroNames {
    let Ok(schema) = serde_json::from_str::<Value>(text) else { return AvroNames::default() };
    let (mut defined, mut used) = (HashSet::new(), Vec::new());
    walk_avro(&schema, "", &mut defined, &mut used);
    let mut seen = HashSet::new();
    used.retain(|name| !defined.contains(name) && seen.insert(name.clone()));
    let top = schema
        .get("name")
        .and_then(Value::as_str)
        .map(|name| full_name(name, schema.get("namespace").and_then(Value::as_str).unwrap_or("")));
    AvroNames { top, used }
}

const PRIMITIVES: [&str; 8] =
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// Depth is bounded by the JSON parser.
fn walk_avro(
    schema: &Value,
    namespace: &str,
    defined: &mut HashSet<String>,
    used: &mut Vec<String>,
) {
    match schema {
        Value::String(name) if !PRIMITIVES.contains(&name.as_str()) => {
            used.push(full_name(name, namespace));
        }
        Value::Array(branches) => {
            branches.iter().for_each(|branch| walk_avro(branch, namespace, defined, used));
        }
        Value::Object(members) => {
            let mut namespace = namespace.to_owned();
            if let Some(name) = members.get("name").and_then(Value::as_str) {
                let own = members.get("namespace").and_then(Value::as_str).unwrap_or(&namespace);
                let full = full_name(name, own);
                namespace = full.rsplit_once('.').map_or("", |(head, _)| head).to_owned();
                defined.insert(full);
            }
            match members.get("type") {
                Some(Value::String(kind)) if kind == "record" || kind == "error" => {
                    let fields = members.get("fields").and_then(Value::as_array);
                    for kind in fields.into_iter().flatten().filter_map(|f| f.get("type")) {
                        walk_avro(kind, &namespace, defined, used);
                    }
                }
                Some(Value::String(kind)) if kind == "array" => {
                    members
                        .get("items")
                        .into_iter()
                        .for_each(|s| walk_avro(s, &namespace, defined, used));
                }
                Some(Value::String(kind)) if kind == "map" => {
                    members
                        .get("values")
                        .into_iter()
                        .for_each(|s| walk_avro(s, &namespace, defined, used));
                }
                Some(Value::String(kind)) if kind == "enum" || kind == "fixed" => {}
                Some(kind) => walk_avro(kind, &namespace, defined, used),
                None => {}
            }
        }
        _ => {}
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_count() {
        let mut names = vec!["v10.proto", "v2.proto", "v1.proto", "v02b.proto", "a.proto"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["a.proto", "v1.proto", "v2.proto", "v02b.proto", "v10.proto"]);
    }

    #[test]
    fn avro_names_that_are_used_and_not_defined_are_references() {
        let names = avro_names(
            r#"{"type":"record","name":"A","namespace":"n","fields":[
                {"name":"x","type":["null","B"]},
                {"name":"y","type":{"type":"array","items":"other.C"}},
                {"name":"z","type":{"type":"enum","name":"E","symbols":["P"]}},
                {"name":"w","type":{"type":"map","values":"E"}},
                {"name":"self","type":["null","A"]},
                {"name":"s","type":{"type":"string","logicalType":"uuid"}}]}"#,
        );
        assert_eq!(names.top.as_deref(), Some("n.A"));
        assert_eq!(names.used, ["n.B", "other.C"]);
    }
}
