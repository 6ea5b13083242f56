//! Lists and maps of single values, out of the tree and the table of options.

use std::collections::BTreeMap;

use super::options::{Form, Opt, Unset, find};
use super::values::{Scalar, Values, meaning};
use super::yaml::Kind;

impl Values<'_> {
    /// A list of texts; a single text is a list of one. `None` if the key is absent.
    pub(super) fn texts(&mut self, path: &str) -> Option<Vec<Scalar>> {
        let Some(node) = self.node(path).cloned() else {
            if let Some(Opt { default: Unset::Required, what, .. }) = find(path) {
                let short = what.split(['.', ';']).next().unwrap_or_default();
                self.missing(path, format!("option `{path}`: not set, required; {short}"));
            }
            return None;
        };
        let items = match &node.kind {
            Kind::List(items) => items.iter().collect(),
            _ => vec![&node],
        };
        if items.is_empty() {
            let empty = Scalar { text: String::new(), shown: "[]".to_owned(), line: node.line };
            self.wrong_value(path, &empty, "at least one");
        }
        let alone = !matches!(node.kind, Kind::List(_));
        let mut texts = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let path = if alone { path.to_owned() } else { format!("{path}[{index}]") };
            if item.kind == Kind::Null {
                self.wrong_form(&path, item, "a single value");
                continue;
            }
            if let Some(text) = self.scalar_of(item, &path, false) {
                match text.text.is_empty() {
                    true => self.wrong_value(&path, &text, "a text"),
                    false => texts.push(text),
                }
            }
        }
        Some(texts)
    }

    /// A list of the option's words.
    pub(super) fn choices<T: Copy>(
        &mut self,
        path: &str,
        meanings: &[(&str, T)],
    ) -> Option<Vec<T>> {
        let opt = find(path)?;
        let texts = self.texts(path)?;
        let mut out = Vec::new();
        for value in &texts {
            match meaning(opt, &value.text, meanings) {
                Ok(meaning) => out.push(meaning),
                Err(required) => self.wrong_value(path, value, &required),
            }
        }
        Some(out)
    }

    /// Keys of the user's own with single values. Values are secret if the option's row says so.
    pub(super) fn pairs(&mut self, path: &str) -> BTreeMap<String, Scalar> {
        let secret = matches!(find(path).map(|opt| opt.form), Some(Form::SecretPairs));
        let Some(node) = self.node(path).cloned() else { return BTreeMap::new() };
        let Kind::Map(entries) = &node.kind else {
            self.wrong_form(path, &node, "a map of keys");
            return BTreeMap::new();
        };
        let mut pairs = BTreeMap::new();
        for (key, value) in entries {
            let path = format!("{path}.{key}");
            match &value.kind {
                Kind::Null => self.wrong_form(&path, value, "a single value"),
                _ => pairs.extend(self.scalar_of(value, &path, secret).map(|v| (key.clone(), v))),
            }
        }
        pairs
    }
}
