//! Protobuf: `.proto` text or a serialized descriptor → file descriptor with its pool.

use std::collections::HashMap;

use base64::Engine;
use prost::Message;
use prost_reflect::FileDescriptor;
use prost_types::FileDescriptorProto;
use protox::file::{File, FileResolver, GoogleFileResolver};

use crate::error::Fault;
use crate::registry::codes::{BAD, EDITION, REFERENCES};

use super::{Reference, known, lenient};

/// Strict first, as `protoc` reads it. Registries hold schemas that `protoc` would refuse and the
/// reference clients take (custom options whose definition is not imported, imports that nothing
/// uses and nobody registered): those compile in a second, lenient pass.
pub(super) fn compile(text: &str, references: &[Reference]) -> Result<FileDescriptor, Fault> {
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
    let strict = match pool(&main, Files { files: files.clone(), lenient: false }) {
        Ok(file) => return Ok(file),
        Err(error) => error,
    };
    if strict.is_parse() {
        return Err(fault(&strict));
    }
    lenient::relax(&mut files);
    // Where leniency does not help, the strict reading has the better explanation.
    pool(&main, Files { files, lenient: true }).map_err(|_| fault(&strict))
}

/// What a file imports, in order, files that come with every compiler left out.
pub(super) fn imports(text: &str) -> Result<Vec<String>, Fault> {
    let file = match source("schema.proto", text)? {
        Source::Descriptor(file) | Source::Serialized(file, _) => *file,
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
}

fn source(name: &str, text: &str) -> Result<Source, Fault> {
    let descriptor = descriptor(text);
    let edition = match &descriptor {
        Some((file, _)) => file.syntax() == "editions",
        None => first_word(text) == "edition",
    };
    if edition {
        return Err(Fault::new(
            &EDITION,
            format!("protobuf schema: `{name}` uses an edition, `proto2` or `proto3` required"),
        ));
    }
    Ok(match descriptor {
        Some((mut file, mut bytes)) => {
            file.name = Some(name.to_owned());
            // Written once more at the end, where the last one wins.
            let only_name = FileDescriptorProto { name: file.name.clone(), ..Default::default() };
            bytes.extend(only_name.encode_to_vec());
            Source::Serialized(Box::new(file), bytes)
        }
        None => Source::Text(text.to_owned()),
    })
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

/// The first token of a `.proto` text, comments skipped.
fn first_word(text: &str) -> &str {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after).trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after).trim_start();
        } else {
            let end =
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            return &rest[..end];
        }
    }
}

/// Finds imports among the references, then among the files that everyone has.
pub(super) struct Files {
    pub(super) files: HashMap<String, Source>,
    pub(super) lenient: bool,
}

impl Files {
    /// The parsed file, not yet resolved.
    fn parse(&self, name: &str) -> Result<File, protox::Error> {
        match self.files.get(name) {
            Some(Source::Descriptor(file)) => {
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
        if !self.lenient || !self.files.contains_key(name) {
            return Ok(file);
        }
        let mut descriptor = FileDescriptorProto::from(file);
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

/// `file:line:column: ` taken apart.
fn place(prefix: &str) -> Option<(&str, u32, u32)> {
    let (rest, column) = prefix.trim_end().strip_suffix(':')?.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file.trim_end_matches(':'), line.parse().ok()?, column.parse().ok()?))
}
