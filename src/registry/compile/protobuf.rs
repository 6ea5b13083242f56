//! Protobuf: `.proto` text or a serialized descriptor → file descriptor with its pool.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use base64::Engine;
use prost::Message;
use prost_reflect::FileDescriptor;
use prost_types::FileDescriptorProto;
use protox::file::{File, FileResolver, GoogleFileResolver};

use crate::error::Fault;
use crate::registry::ProtobufFile;
use crate::registry::codes::{BAD, REFERENCES};

use super::edition::{self, Facts};
use super::{Reference, known, lenient};

/// Strict first, as `protoc` reads it. Registries hold schemas that `protoc` would refuse and the
/// reference clients take (custom options whose definition is not imported, imports that nothing
/// uses and nobody registered): those compile in a second, lenient pass.
pub(super) fn compile(text: &str, references: &[Reference]) -> Result<ProtobufFile, Fault> {
    let main = main_name(references);
    let mut files = HashMap::with_capacity(references.len() + 1);
    for reference in references {
        // The first of a name wins, as in the reference clients.
        if !files.contains_key(&reference.name) {
            files.insert(reference.name.clone(), source(&reference.name, &reference.text)?);
        }
    }
    files.insert(main.clone(), source(&main, text)?);
    if let Some((name, _)) = files.iter().find(|(_, file)| lenient::has_bottomless_option(file)) {
        return Err(Fault::new(
            &BAD,
            format!("protobuf schema: `{name}` has an option nested over 64 levels"),
        ));
    }
    let mut facts = translate(&mut files)?;
    let strict = match pool(&main, Files { files: files.clone(), forgiven: None }) {
        Ok(file) => {
            check_entries(&file)?;
            return Ok(ProtobufFile { file, facts, forgiven: Vec::new() });
        }
        Err(error) => error,
    };
    if strict.is_parse() {
        return Err(fault(&strict));
    }
    let mut forgiven = lenient::relax(&mut files);
    let types = types(&mut files);
    for source in files.values_mut() {
        if let Source::Descriptor(file) = source {
            let twins = edition::part_twins(file, &types, &mut facts)?;
            forgiven.extend(twins.iter().map(|message| {
                format!("fields of `{message}` whose names differ only by case or underscores")
            }));
        }
    }
    let missing = Arc::new(Mutex::new(BTreeSet::new()));
    // Where leniency does not help, the strict reading has the better explanation.
    let file = pool(&main, Files { files, forgiven: Some(missing.clone()) })
        .map_err(|_| fault(&strict))?;
    check_entries(&file)?;
    if let Ok(missing) = missing.lock() {
        forgiven.extend(missing.iter().map(|import| format!("import `{import}` not found")));
    }
    Ok(ProtobufFile { file, facts, forgiven })
}

/// Rewrites files with an edition as proto2.
fn translate(files: &mut HashMap<String, Source>) -> Result<Facts, Fault> {
    let mut facts = Facts::default();
    if !files.values().any(|source| matches!(source, Source::Edition(..))) {
        return Ok(facts);
    }
    let types = types(files);
    for source in files.values_mut() {
        if let Source::Edition(file, bytes) = source {
            let mut file = std::mem::take(file);
            edition::translate(&mut file, &types, &mut facts)?;
            *source = match bytes {
                Some(bytes) => {
                    let bytes = edition::serialized::graft(bytes, &file);
                    Source::Serialized(file, bytes)
                }
                None => Source::Descriptor(file),
            };
        }
    }
    Ok(facts)
}

/// The types of these files, and of those that come with the program and are imported.
fn types(files: &mut HashMap<String, Source>) -> edition::Types {
    let all = Files { files: std::mem::take(files), forgiven: None };
    let mut types = edition::Types::new();
    let mut seen: HashSet<String> = all.files.keys().cloned().collect();
    let mut todo: Vec<String> = seen.iter().cloned().collect();
    while let Some(name) = todo.pop() {
        // What cannot be read is reported when it is opened.
        let Ok(file) = all.parse(&name) else { continue };
        let file = FileDescriptorProto::from(file);
        edition::declare(&file, &mut types);
        todo.extend(file.dependency.into_iter().filter(|import| seen.insert(import.clone())));
    }
    *files = all.files;
    types
}

/// What a file imports, in order, files that come with every compiler left out.
pub(super) fn imports(text: &str) -> Result<Vec<String>, Fault> {
    let file = match source("schema.proto", text)? {
        Source::Descriptor(file) | Source::Serialized(file, _) | Source::Edition(file, _) => *file,
        Source::Text(text) => {
            protox_parse::parse("schema.proto", &text).map_err(|e| fault(&e.into()))?
        }
    };
    Ok(file.dependency.into_iter().filter(|import| !super::is_known_import(import)).collect())
}

/// A name for the file itself that no reference has.
fn main_name(references: &[Reference]) -> String {
    let mut name = "schema.proto".to_owned();
    while references.iter().any(|r| r.name == name) {
        name.insert(0, '_');
    }
    name
}

/// One file of a schema, in the form the registry holds it.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Text(String),
    /// As it came. The parsed form has no room for custom options: the bytes keep them.
    Serialized(Box<FileDescriptorProto>, Vec<u8>),
    Descriptor(Box<FileDescriptorProto>),
    /// A file with an edition, its features still among the options that nobody interpreted; with its
    /// bytes, if it came serialized.
    Edition(Box<FileDescriptorProto>, Option<Vec<u8>>),
}

fn source(name: &str, text: &str) -> Result<Source, Fault> {
    if let Some((mut file, mut bytes)) = descriptor(text) {
        file.name = Some(name.to_owned());
        // Written once more at the end, where the last one wins.
        let only_name = FileDescriptorProto { name: file.name.clone(), ..Default::default() };
        bytes.extend(only_name.encode_to_vec());
        if let Some(edition) = edition::serialized::edition(&bytes) {
            edition::check(name, &edition)?;
            edition::serialized::adopt(&bytes, &mut file);
            return Ok(Source::Edition(Box::new(file), Some(bytes)));
        }
        return Ok(Source::Serialized(Box::new(file), bytes));
    }
    if let Some((edition, text)) = edition::text::rewrite(text) {
        edition::check(name, &edition)?;
        let file = protox_parse::parse(name, &text).map_err(|e| fault(&e.into()))?;
        return Ok(Source::Edition(Box::new(file), None));
    }
    Ok(Source::Text(text.to_owned()))
}

/// The descriptor in a base64 text. No `.proto` text with content is base64: it has blanks or `;`.
fn descriptor(text: &str) -> Option<(FileDescriptorProto, Vec<u8>)> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let file = FileDescriptorProto::decode(bytes.as_slice()).ok()?;
    Some((file, bytes))
}

/// Finds imports among the references, then among the files that everyone has.
pub(super) struct Files {
    pub(super) files: HashMap<String, Source>,
    /// The lenient reading: imports that it did without.
    forgiven: Option<Arc<Mutex<BTreeSet<String>>>>,
}

impl Files {
    /// The parsed file, not yet resolved.
    fn parse(&self, name: &str) -> Result<File, protox::Error> {
        match self.files.get(name) {
            Some(Source::Descriptor(file) | Source::Edition(file, _)) => {
                Ok(File::from_file_descriptor_proto(file.as_ref().clone()))
            }
            Some(Source::Serialized(_, bytes)) => {
                File::decode_file_descriptor_proto(bytes.as_slice()).map_err(protox::Error::new)
            }
            Some(Source::Text(text)) => File::from_source(name, text),
            None => match known::text(name) {
                Some(text) => File::from_source(name, text),
                None => GoogleFileResolver::new().open_file(name),
            },
        }
    }
}

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let file = self.parse(name)?;
        let forgiven = match &self.forgiven {
            Some(forgiven) if self.files.contains_key(name) => forgiven,
            _ => return Ok(file),
        };
        let mut descriptor = FileDescriptorProto::from(file);
        if let Ok(mut forgiven) = forgiven.lock() {
            let missing = descriptor.dependency.iter().filter(|import| !self.exists(import));
            forgiven.extend(missing.cloned());
        }
        lenient::drop_missing_imports(&mut descriptor, |import| self.exists(import));
        Ok(File::from_file_descriptor_proto(descriptor))
    }
}

/// Whether the compiler brings this file.
pub(super) fn is_google(name: &str) -> bool {
    GoogleFileResolver::new().open_file(name).is_ok()
}

impl Files {
    fn exists(&self, name: &str) -> bool {
        self.files.contains_key(name) || super::is_known_import(name)
    }
}

fn pool(main: &str, files: Files) -> Result<FileDescriptor, protox::Error> {
    let mut compiler = protox::Compiler::with_file_resolver(files);
    compiler.open_file(main)?;
    compiler
        .descriptor_pool()
        .get_file_by_name(main)
        .ok_or_else(|| protox::Error::file_not_found(main))
}

/// The compiler's own words, with the place it names: `schema.proto:3:5: expected …`.
fn fault(error: &protox::Error) -> Fault {
    let code = if error.is_file_not_found() { &REFERENCES } else { &BAD };
    let text = format!("{error:?}");
    let plain = error.to_string();
    match text.strip_suffix(plain.as_str()).and_then(place) {
        Some((file, line, column)) => Fault::new(
            code,
            format!("protobuf schema: `{file}` line {line} column {column}: {plain}"),
        ),
        None => match error.file() {
            Some(file) => Fault::new(code, format!("protobuf schema: `{file}`: {plain}")),
            None => Fault::new(code, format!("protobuf schema: {plain}")),
        },
    }
}

/// Refuses map entries that no parser writes: a descriptor says of any message that it is one.
fn check_entries(file: &FileDescriptor) -> Result<(), Fault> {
    use prost_reflect::Kind;
    let mut messages = file.parent_pool().all_messages().filter(|message| message.is_map_entry());
    let is_entry = |message: &prost_reflect::MessageDescriptor| {
        let (key, value) = (message.get_field(1), message.get_field(2));
        let fits = |kind| {
            !matches!(
                kind,
                Kind::Double | Kind::Float | Kind::Bytes | Kind::Message(_) | Kind::Enum(_)
            )
        };
        key.is_some_and(|key| !key.is_list() && fits(key.kind()))
            && value.is_some_and(|value| !value.is_list())
    };
    match messages.find(|message| !is_entry(message)) {
        None => Ok(()),
        Some(message) => Err(Fault::new(
            &BAD,
            format!(
                "protobuf schema: map entry `{}`: not a key and a value, a key of an integer, text or boolean and one value required",
                message.full_name()
            ),
        )),
    }
}

/// `file:line:column: ` taken apart.
fn place(prefix: &str) -> Option<(&str, u32, u32)> {
    let (rest, column) = prefix.trim_end().strip_suffix(':')?.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file.trim_end_matches(':'), line.parse().ok()?, column.parse().ok()?))
}
