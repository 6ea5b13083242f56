//! Lists and maps.

use super::{Run, read};
use crate::decode::json::codes;
use crate::decode::json::failure::Read;
use crate::decode::json::step::{Items, Pairs};
use crate::decode::json::token::Bad;

impl<'r> Run<'r> {
    pub(super) fn list(&mut self, items: &'r Items, first: u8, row: usize) -> Read<()> {
        if first != b'[' {
            return Err(self.wrong("an array"));
        }
        self.columns.lists[items.list as usize].open(row);
        self.cursor.step();
        if self.cursor.peek() == b']' {
            self.cursor.step();
            return Ok(());
        }
        let mut index = 0u64;
        loop {
            let item = self.push(items.list, items.width, row)?;
            if let Err(failure) = self.value(&items.item, item) {
                return Err(failure.within(&format!("[{index}]")));
            }
            index += 1;
            match self.cursor.peek() {
                b',' => self.cursor.step(),
                b']' => {
                    self.cursor.step();
                    return Ok(());
                }
                _ => return Err(self.bad(Bad::Expected("`,` or `]`"))),
            }
        }
    }

    pub(super) fn map(&mut self, items: &'r Items, first: u8, row: usize) -> Read<()> {
        if first != b'{' {
            return Err(self.wrong("an object"));
        }
        self.columns.lists[items.list as usize].open(row);
        self.cursor.step();
        if self.cursor.peek() == b'}' {
            self.cursor.step();
            return Ok(());
        }
        loop {
            if self.cursor.peek() != b'"' {
                return Err(self.bad(Bad::Expected("a key")));
            }
            let entry = self.push(items.list, items.width, row)?;
            let start = self.cursor.at();
            let key = read!(self, self.cursor.string(&mut self.state.scratch));
            let set = self.columns.texts[items.key as usize].set(entry, key);
            set.map_err(|full| self.full(full))?;
            let end = self.cursor.at();
            read!(self, self.cursor.require(b':', "`:`"));
            if let Err(failure) = self.value(&items.item, entry) {
                self.cursor.rewind(end);
                return Err(failure.within_key(self.cursor.since(start)));
            }
            match self.cursor.peek() {
                b',' => self.cursor.step(),
                b'}' => {
                    self.cursor.step();
                    return Ok(());
                }
                _ => return Err(self.bad(Bad::Expected("`,` or `}`"))),
            }
        }
    }

    /// A map as a list of pairs.
    pub(super) fn pairs(&mut self, pairs: &'r Pairs, first: u8, row: usize) -> Read<()> {
        if first != b'[' {
            return Err(self.wrong("an array"));
        }
        self.columns.lists[pairs.list as usize].open(row);
        self.cursor.step();
        if self.cursor.peek() == b']' {
            self.cursor.step();
            return Ok(());
        }
        let mut index = 0u64;
        loop {
            let entry = self.push(pairs.list, pairs.width, row)?;
            let read =
                if pairs.objects { self.entry(pairs, entry) } else { self.pair(pairs, entry) };
            if let Err(failure) = read {
                return Err(failure.within(&format!("[{index}]")));
            }
            index += 1;
            match self.cursor.peek() {
                b',' => self.cursor.step(),
                b']' => {
                    self.cursor.step();
                    return Ok(());
                }
                _ => return Err(self.bad(Bad::Expected("`,` or `]`"))),
            }
        }
    }

    /// `[k, v]`
    fn pair(&mut self, pairs: &'r Pairs, entry: usize) -> Read<()> {
        if self.cursor.peek() != b'[' {
            return Err(self.wrong("an array of key and value"));
        }
        self.cursor.step();
        self.value(&pairs.parts[0], entry).map_err(|failure| failure.within("[0]"))?;
        read!(self, self.cursor.require(b',', "`,`"));
        self.value(&pairs.parts[1], entry).map_err(|failure| failure.within("[1]"))?;
        read!(self, self.cursor.require(b']', "`]`"));
        Ok(())
    }

    /// `{"key": k, "value": v}`
    fn entry(&mut self, pairs: &'r Pairs, entry: usize) -> Read<()> {
        if self.cursor.peek() != b'{' {
            return Err(self.wrong("an object of key and value"));
        }
        self.cursor.step();
        let mut seen = [false; 2];
        if self.cursor.peek() == b'}' {
            self.cursor.step();
        } else {
            loop {
                self.member(pairs, entry, &mut seen)?;
                match self.cursor.peek() {
                    b',' => self.cursor.step(),
                    b'}' => {
                        self.cursor.step();
                        break;
                    }
                    _ => return Err(self.bad(Bad::Expected("`,` or `}`"))),
                }
            }
        }
        for (part, name) in ["key", "value"].iter().enumerate() {
            if !seen[part] && !pairs.parts[part].nullable {
                let missing = self.fail(&codes::MISSING, "nothing, a value required");
                return Err(missing.within(name));
            }
        }
        Ok(())
    }

    /// One member of `{"key": k, "value": v}`.
    fn member(&mut self, pairs: &'r Pairs, entry: usize, seen: &mut [bool; 2]) -> Read<()> {
        if self.cursor.peek() != b'"' {
            return Err(self.bad(Bad::Expected("a key")));
        }
        let key = read!(self, self.cursor.string(&mut self.state.scratch));
        let part = match key {
            b"key" => Some(0),
            b"value" => Some(1),
            _ => None,
        };
        read!(self, self.cursor.require(b':', "`:`"));
        let Some(part) = part else {
            read!(self, self.cursor.skip(pairs.levels));
            self.state.oddities.unknown_fields += 1;
            return Ok(());
        };
        if std::mem::replace(&mut seen[part], true) {
            self.again(Some(&pairs.columns[part]), entry)?;
        }
        let name = ["key", "value"][part];
        self.value(&pairs.parts[part], entry).map_err(|failure| failure.within(name))
    }

    /// One more item of a list; gives its row.
    #[inline]
    fn push(&mut self, list: u32, width: u32, row: usize) -> Read<usize> {
        self.meter.node(width).map_err(|reject| self.limit(&reject))?;
        let item = self.columns.lists[list as usize].push(row);
        item.map_err(|full| self.full(full))
    }
}
