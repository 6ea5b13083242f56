//! Schema texts: what other compilers take is taken; what is taken can be planned, written and read again.
//!
//! Input: one byte (0: Avro, 1: Protobuf), then the text.

use forebay::config::{self, Reader};
use forebay::decode::{Options, Plan};
use forebay::registry::{Language, Parsed, compile};

pub const WORDS: &[&[u8]] = &[
    br#"{"type":"record","name":"R","fields":[]}"#,
    br#"{"name":"f","type":"int"}"#,
    br#""type":"array","items":"#,
    br#""type":"map","values":"#,
    br#""default":null"#,
    br#""namespace":"""#,
    br#""aliases":["a.B"]"#,
    br#""logicalType":"decimal","precision":4"#,
    br#""symbols":["A"]"#,
    br#"["null","string"]"#,
    b"\"R\"",
    b"message M { } ",
    b"repeated ",
    b"map<string, M> m = 9;",
    b"oneof o { } ",
    b"reserved 1 to max;",
    b"import \"google/protobuf/any.proto\";",
    b"option (a.b).c = { x: 1 };",
    b"extend M { }",
    b"optional group G = 1 { }",
    b"edition = \"2023\";",
];

/// Longer texts cost the compilers of the oracle more than they teach.
const LENGTH_MAX: usize = 1 << 14;

pub fn run(data: &[u8]) -> bool {
    let [pick, text @ ..] = data else { return false };
    let Ok(text) = std::str::from_utf8(text) else { return false };
    if text.len() > LENGTH_MAX {
        return false;
    }
    let language = if pick & 1 == 0 { Language::Avro } else { Language::Protobuf };
    let compiled = compile::compile(1, language, text, &[]);
    let schema = match compiled {
        Ok(schema) => schema,
        Err(fault) => {
            let failed = fault.message.starts_with("schema: its compiler failed on it");
            assert!(!failed, "{fault}");
            assert!(!others_take(language, text), "{fault}");
            return false;
        }
    };
    if let Parsed::Avro(avro) = &schema.parsed {
        let again = compile::compile(1, language, &avro.json, &[]).unwrap();
        let Parsed::Avro(again) = again.parsed else { unreachable!() };
        assert_eq!(again.json, avro.json, "compiled text is compiled to itself");
    }
    for readers in [vec![Reader::Native], vec![Reader::Spark, Reader::Athena, Reader::Duckdb]] {
        let value = config::Value::default();
        let options = Options { value, readers, limits: config::Limits::default() };
        if let Ok(plan) = Plan::compile(&schema, &[0], &options) {
            let writer =
                parquet::arrow::ArrowWriter::try_new(std::io::sink(), plan.schema.clone(), None);
            writer.unwrap_or_else(|e| panic!("{e}: {:?}", plan.schema));
        }
    }
    true
}

fn others_take(language: Language, text: &str) -> bool {
    match language {
        Language::Avro => apache_avro::Schema::parse_str(text).is_ok(),
        // protox recurses without a bound on options; a text of this length cannot go too deep.
        _ => text.len() < 2_000 && protox_takes(text),
    }
}

struct One<'t>(&'t str);

impl protox::file::FileResolver for One<'_> {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        protox::file::File::from_source(name, self.0)
    }
}

fn protox_takes(text: &str) -> bool {
    let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(One(text));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("t.proto").is_ok()
}
