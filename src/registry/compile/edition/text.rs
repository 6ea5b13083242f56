//! `.proto` text with an edition → text that the proto3 grammar takes. Lines stay where they are.
//!
//! Editions differ from that grammar in few places: the first statement, names instead of strings in
//! `reserved`, defaults, and since 2024 `export`, `local` and `import option`.

/// What `default` is called in the rewritten text, so that it is kept as an option. As long as the word.
pub const DEFAULT: &str = "defau1t";

/// The edition that a text names (`2023`) and the text in the terms of proto3; none if it has no edition.
pub fn rewrite(text: &str) -> Option<(String, String)> {
    // Most texts have none, and end here.
    if tokens(text).next().is_none_or(|(start, end)| &text[start..end] != "edition") {
        return None;
    }
    let tokens: Vec<(usize, usize)> = tokens(text).collect();
    let word = |at: usize| tokens.get(at).map_or("", |token| &text[token.0..token.1]);
    if word(0) != "edition" || word(1) != "=" || !word(2).starts_with(['"', '\'']) {
        return None;
    }
    let edition = word(2).trim_matches(['"', '\'']).to_owned();
    let mut out = String::with_capacity(text.len() + 16);
    let mut copied = 0;
    let mut replace = |at: usize, with: &str| {
        let (start, end) = tokens[at];
        out.push_str(&text[copied..start]);
        out.push_str(with);
        copied = end;
    };
    replace(0, "syntax ");
    replace(2, "\"proto3\"");
    let mut at = 3;
    while at < tokens.len() {
        let begins = matches!(word(at - 1), ";" | "{" | "}");
        match word(at) {
            "reserved" if begins => {
                at += 1;
                while at < tokens.len() && word(at) != ";" {
                    if is_name(word(at)) && word(at) != "to" && word(at) != "max" {
                        replace(at, &format!("\"{}\"", word(at)));
                    }
                    at += 1;
                }
                continue;
            }
            "default" if matches!(word(at - 1), "[" | ",") && word(at + 1) == "=" => {
                replace(at, DEFAULT);
            }
            "export" if begins && matches!(word(at + 1), "message" | "enum") => {
                replace(at, "      ");
            }
            "local" if begins && matches!(word(at + 1), "message" | "enum") => {
                replace(at, "     ");
            }
            "option" if word(at - 1) == "import" => replace(at, "      "),
            _ => {}
        }
        at += 1;
    }
    out.push_str(&text[copied..]);
    Some((edition, out))
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Where each token starts and ends: words, strings, single other characters. No comments.
fn tokens(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
    std::iter::from_fn(move || {
        let bytes = text.as_bytes();
        loop {
            let start = at;
            let (&byte, rest) = bytes.get(at..)?.split_first()?;
            match (byte, rest.first()) {
                (b'/', Some(b'/')) => at = text[at..].find('\n').map_or(bytes.len(), |n| at + n),
                (b'/', Some(b'*')) => {
                    at = text[at + 2..].find("*/").map_or(bytes.len(), |n| at + n + 4);
                }
                _ if byte.is_ascii_whitespace() => at += 1,
                (b'"' | b'\'', _) => {
                    at = string_end(text, at);
                    return Some((start, at));
                }
                _ => {
                    at += bytes[at..].iter().take_while(|byte| is_word(**byte)).count().max(1);
                    return Some((start, at));
                }
            }
        }
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Where the string ends that starts at `at`, its quote included; the end of the text if it has none.
fn string_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[at];
    let mut end = at + 1;
    while let Some(&byte) = bytes.get(end) {
        end += 1;
        match byte {
            b'\\' => end += 1,
            byte if byte == quote => break,
            _ => {}
        }
    }
    // A cut escape may stand before a longer character, or at the end.
    end = end.min(bytes.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    end
}
