//! Schema files on the command line → one schema.
//!
//! Owns: imports of a `.proto` file among the folders given, the choice of the message.
//! Does not own: compiling.
//! Bounded by: [`REFERENCES_MAX`] imports; sizes as the compiler has them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Args, io};
use crate::cli::ARGUMENTS;
use crate::error::Fault;
use crate::registry::compile::{REFERENCES_MAX, Reference, TEXT_MAX, compile, protobuf_imports};
use crate::registry::{Language, Parsed, ProtobufFile, Schema, message};

/// A schema, and the message of it that is meant (Protobuf; none: the frames say it).
pub(super) type Chosen = (Arc<Schema>, Option<Vec<u32>>);

/// The schema that the arguments name, if they name a file.
pub(super) fn read(args: &Args) -> Result<Option<Chosen>, Fault> {
    if let Some(path) = &args.proto {
        return protobuf(args, path).map(Some);
    }
    let (path, language) = match (&args.avsc, &args.json_schema) {
        (Some(path), _) => (path, Language::Avro),
        (None, Some(path)) => (path, Language::Json),
        (None, None) => return Ok(None),
    };
    let references: Vec<Reference> =
        args.reference.iter().map(|path| reference(path)).collect::<Result<_, Fault>>()?;
    let schema = compile(0, language, &text(path)?, &references)
        .map_err(|fault| fault.at(path.display().to_string()))?;
    Ok(Some((Arc::new(schema), Some(Vec::new()))))
}

/// The schema that `--target` names, in the language that its file's name says.
pub(super) fn target(args: &Args) -> Result<Option<Arc<Schema>>, Fault> {
    let Some(path) = &args.target else { return Ok(None) };
    let language = match path.extension().and_then(|e| e.to_str()) {
        Some("proto") => {
            return protobuf_file(args, path).map(|schema| Some(Arc::new(schema)));
        }
        Some("avsc") => Language::Avro,
        Some("json") => Language::Json,
        _ => {
            let text = format!(
                "argument `--target {}`: a file of another name, `.proto`, `.avsc` or `.json` required",
                path.display()
            );
            return Err(Fault::new(&ARGUMENTS, text));
        }
    };
    let references: Vec<Reference> =
        args.reference.iter().map(|path| reference(path)).collect::<Result<_, Fault>>()?;
    let schema = compile(0, language, &text(path)?, &references)
        .map_err(|fault| fault.at(path.display().to_string()))?;
    Ok(Some(Arc::new(schema)))
}

fn text(path: &Path) -> Result<String, Fault> {
    let size = std::fs::metadata(path).map_err(|e| io(path, &e, "a schema file"))?.len();
    if size > TEXT_MAX as u64 {
        return Err(io(path, &format!("{size} bytes"), "at most 16 MiB"));
    }
    std::fs::read_to_string(path).map_err(|e| io(path, &e, "a schema file"))
}

/// Under the name that its own text gives it (Avro), else its file name (JSON Schema).
fn reference(path: &Path) -> Result<Reference, Fault> {
    let text = text(path)?;
    let parsed = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
    let named = parsed.get("name").and_then(|name| name.as_str()).map(|name| {
        match parsed.get("namespace").and_then(|namespace| namespace.as_str()) {
            Some(namespace) if !name.contains('.') => format!("{namespace}.{name}"),
            _ => name.to_owned(),
        }
    });
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Reference { name: named.unwrap_or(file), text })
}

fn protobuf(args: &Args, path: &Path) -> Result<Chosen, Fault> {
    choose(protobuf_file(args, path)?, args)
}

fn protobuf_file(args: &Args, path: &Path) -> Result<Schema, Fault> {
    let at = || path.display().to_string();
    let mut folders = args.proto_path.clone();
    if folders.is_empty() {
        folders.push(path.parent().unwrap_or(Path::new("")).to_owned());
    }
    let path = match folders.iter().map(|folder| folder.join(path)).find(|found| found.is_file()) {
        Some(found) if !path.is_file() => found,
        _ => path.to_owned(),
    };
    let text = text(&path)?;
    let references = imports(&text, &folders).map_err(|f| place(f, &path))?;
    compile(0, Language::Protobuf, &text, &references).map_err(|fault| fault.at(at()))
}

fn place(fault: Fault, path: &Path) -> Fault {
    if fault.place.is_some() { fault } else { fault.at(path.display().to_string()) }
}

/// Every file that is imported, directly or not. One that is in no folder is left to the compiler, which
/// knows some files by itself and does not mind an import that nothing uses.
fn imports(text: &str, folders: &[PathBuf]) -> Result<Vec<Reference>, Fault> {
    let mut found: Vec<Reference> = Vec::new();
    let mut wanted = protobuf_imports(text)?;
    while let Some(name) = wanted.pop() {
        if found.iter().any(|r| r.name == name) {
            continue;
        }
        if found.len() >= REFERENCES_MAX {
            return Err(Fault::new(
                &ARGUMENTS,
                format!("imports: more than {REFERENCES_MAX} files, at most that required"),
            ));
        }
        // As protoc has it: a name below the folders, not a way out of them.
        let plain =
            Path::new(&name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        let path = folders.iter().map(|folder| folder.join(&name)).find(|path| path.is_file());
        if let Some(path) = path.filter(|_| plain) {
            let text = self::text(&path)?;
            wanted.extend(protobuf_imports(&text).map_err(|f| place(f, &path))?);
            found.push(Reference { name, text });
        }
    }
    Ok(found)
}

/// The message that `--message` names; else the only one of the file.
fn choose(schema: Schema, args: &Args) -> Result<Chosen, Fault> {
    let Parsed::Protobuf(file) = &schema.parsed else { return Ok((Arc::new(schema), None)) };
    let names = || {
        let names: Vec<String> = file.messages().map(|m| m.full_name().to_owned()).collect();
        names.join("`, `")
    };
    let Some(name) = &args.message else {
        let indexes = match file.messages().count() {
            1 => Some(vec![0]),
            // Framed payloads say which message they are.
            _ if args.framed => None,
            count => {
                let text = format!(
                    "message: not given and the file declares {count}, `--message` with one of `{}` required",
                    names()
                );
                return Err(Fault::new(&ARGUMENTS, text));
            }
        };
        return Ok((Arc::new(schema), indexes));
    };
    let pool = file.parent_pool();
    let within = format!("{}.{name}", file.package_name());
    let found = [name, within.as_str()].iter().find_map(|name| pool.get_message_by_name(name));
    let chosen = found.and_then(|message| {
        // It may stand in a file that this one imports: indexes count in that one.
        let file = ProtobufFile {
            file: message.parent_file(),
            facts: file.facts.clone(),
            forgiven: file.forgiven.clone(),
        };
        message::indexes(&file, &message).map(|indexes| (file, indexes))
    });
    match chosen {
        Some((file, indexes)) => {
            let schema = Schema { parsed: Parsed::Protobuf(file), ..schema };
            Ok((Arc::new(schema), Some(indexes)))
        }
        None => {
            let text =
                format!("message `{name}`: not in the schema, one of `{}` required", names());
            Err(Fault::new(&ARGUMENTS, text))
        }
    }
}
