//! A place in the text of one record, and the tokens of JSON (RFC 8259).
//!
//! The text must be UTF-8 before it comes here. Every read checks what is left; a failed read says why
//! as a [`Bad`], which becomes a reject only where the field is known. Strings without escapes are
//! borrowed; numbers stay text.

/// Why a read failed, at the cursor's place. Small and plain: made in hot code, spelled out in cold code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// Something else stands here: what is required.
    Expected(&'static str),
    /// A control character inside a string.
    Control,
    /// Half a surrogate pair.
    Surrogate,
    /// More levels than the record may have.
    Depth,
    /// More schemas in one list than are read.
    Many,
}

/// The text of a number, grammar checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    pub(super) text: &'a str,
}

/// Most levels that [`Cursor::skip`] can follow, whatever it is asked for.
const LEVELS_MAX: u32 = 127;

#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes read so far.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline(always)]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The text from `start` up to here. Both must be places that a token starts or ends at.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Goes back to a place.
    pub(super) fn rewind(&mut self, at: usize) {
        self.at = at.min(self.text.len());
    }

    /// The next byte that is not white space, not yet read; 0 at the end (as no token starts with it).
    #[inline(always)]
    pub(super) fn peek(&mut self) -> u8 {
        match self.bytes().get(self.at) {
            Some(&byte) if byte > b' ' => byte,
            _ => self.peek_far(),
        }
    }

    fn peek_far(&mut self) -> u8 {
        while let Some(&byte) = self.bytes().get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    /// What stands here, for messages.
    #[cold]
    pub(super) fn here(&self) -> String {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(character) => format!("{character:?}"),
            None => "the end".to_owned(),
        }
    }

    /// Moves past one byte that [`Cursor::peek`] gave.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// Moves past `text` if it stands here.
    #[inline(always)]
    pub(super) fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.bytes().get(self.at..).is_some_and(|rest| rest.starts_with(text));
        self.at += if found { text.len() } else { 0 };
        found
    }

    /// Moves past the byte `byte`, white space before it too.
    #[inline(always)]
    pub(super) fn require(&mut self, byte: u8, what: &'static str) -> Result<(), Bad> {
        if self.peek() != byte {
            return Err(Bad::Expected(what));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_done(&mut self) -> bool {
        self.peek();
        self.at == self.text.len()
    }

    /// A string, unescaped: borrowed from the text, or made in `scratch`. The quote is next.
    #[inline]
    pub(super) fn string<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Bad>
    where
        'a: 's,
    {
        self.require(b'"', "a string")?;
        let start = self.at;
        self.plain();
        if self.bytes().get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(&self.bytes()[start..self.at - 1]);
        }
        scratch.clear();
        self.escaped(start, |part| scratch.extend_from_slice(part))?;
        Ok(scratch)
    }

    /// Checks a string and moves past it. The quote is next.
    pub(super) fn skip_string(&mut self) -> Result<(), Bad> {
        self.require(b'"', "a string")?;
        let start = self.at;
        self.plain();
        if self.bytes().get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(());
        }
        self.escaped(start, |_| {})
    }

    /// The rest of a string from an escape on; `start` is where it began.
    #[inline(never)]
    fn escaped(&mut self, mut start: usize, mut out: impl FnMut(&[u8])) -> Result<(), Bad> {
        loop {
            out(&self.bytes()[start..self.at]);
            match self.bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let mut buffer = [0; 4];
                    let character = self.escape()?;
                    out(character.encode_utf8(&mut buffer).as_bytes());
                }
                Some(_) => return Err(Bad::Control),
                None => return Err(Bad::Expected("the end of a string")),
            }
            start = self.at;
            self.plain();
        }
    }

    /// Moves to the first quote, backslash or control character, or to the end. Eight bytes at a time.
    #[inline(always)]
    fn plain(&mut self) {
        const ONES: u64 = u64::from_ne_bytes([1; 8]);
        const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
        // A byte that is zero has its high bit set in the result; so may bytes after it, never one before.
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        let bytes = self.bytes();
        while let Some(chunk) = bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*chunk);
            let found = zeros(word ^ (ONES * u64::from(b'"')))
                | zeros(word ^ (ONES * u64::from(b'\\')))
                | (word.wrapping_sub(ONES * 0x20) & !word & HIGHS);
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while let Some(&byte) = bytes.get(self.at) {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return;
            }
            self.at += 1;
        }
    }

    /// The character of an escape; the backslash is next.
    fn escape(&mut self) -> Result<char, Bad> {
        let start = self.at;
        let Some(&kind) = self.bytes().get(start + 1) else {
            return Err(Bad::Expected("the end of a string"));
        };
        let plain = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex(start)?;
                let both = match high {
                    0xd800..0xdc00 => match self.bytes().get(self.at) {
                        Some(b'\\') if self.bytes().get(self.at + 1) == Some(&b'u') => {
                            let low = self.hex(self.at)?;
                            if !(0xdc00..0xe000).contains(&low) {
                                self.at = start;
                                return Err(Bad::Surrogate);
                            }
                            0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                        }
                        _ => high,
                    },
                    _ => high,
                };
                let Some(character) = char::from_u32(both) else {
                    self.at = start;
                    return Err(Bad::Surrogate);
                };
                return Ok(character);
            }
            _ => return Err(Bad::Expected("an escape of JSON")),
        };
        self.at = start + 2;
        Ok(plain)
    }

    /// Four hexadecimal digits after the `\u` at `start`; moves past them.
    fn hex(&mut self, start: usize) -> Result<u32, Bad> {
        let digits = self.bytes().get(start + 2..start + 6).unwrap_or_default();
        let mut value = 0;
        for digit in digits {
            let digit = char::from(*digit).to_digit(16);
            value = value << 4 | digit.ok_or(Bad::Expected("four hexadecimal digits"))?;
        }
        if digits.len() < 4 {
            return Err(Bad::Expected("four hexadecimal digits"));
        }
        self.at = start + 6;
        Ok(value)
    }

    /// A number of few digits without fraction or exponent, the usual integer. `None`: it is another
    /// number, or none; nothing is read.
    #[inline]
    pub(super) fn small(&mut self) -> Option<i64> {
        let rest = self.bytes().get(self.at..)?;
        let negative = rest.first() == Some(&b'-');
        let digits = &rest[usize::from(negative)..];
        let mut value = 0i64;
        let mut count = 0;
        loop {
            match digits.get(count) {
                Some(digit @ b'0'..=b'9') if count < 18 => {
                    value = value * 10 + i64::from(digit - b'0');
                    count += 1;
                }
                Some(b'0'..=b'9' | b'.' | b'e' | b'E') => return None,
                _ => break,
            }
        }
        if count == 0 || (digits[0] == b'0' && count > 1) {
            return None;
        }
        self.at += count + usize::from(negative);
        Some(if negative { -value } else { value })
    }

    /// Any number.
    pub(super) fn number(&mut self) -> Result<Number<'a>, Bad> {
        self.peek();
        let bytes = self.bytes();
        let start = self.at;
        let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let whole = at;
        at = digits(at);
        if at == whole {
            self.at = at;
            return Err(Bad::Expected(if whole == start { "a number" } else { "a digit" }));
        }
        if bytes[whole] == b'0' && at > whole + 1 {
            self.at = whole + 1;
            return Err(Bad::Expected("a number without leading zeros"));
        }
        if bytes.get(at) == Some(&b'.') {
            let part = at + 1;
            at = digits(part);
            if at == part {
                self.at = at;
                return Err(Bad::Expected("a digit"));
            }
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            let sign = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
            let part = at + 1 + usize::from(sign);
            at = digits(part);
            if at == part {
                self.at = at;
                return Err(Bad::Expected("a digit"));
            }
        }
        self.at = at;
        Ok(Number { text: self.since(start) })
    }

    /// `true` or `false`.
    #[inline]
    pub(super) fn boolean(&mut self) -> Result<bool, Bad> {
        self.peek();
        if self.eat(b"true") {
            return Ok(true);
        }
        if self.eat(b"false") { Ok(false) } else { Err(Bad::Expected("`true` or `false`")) }
    }

    /// `null`.
    #[inline]
    pub(super) fn null(&mut self) -> Result<(), Bad> {
        self.peek();
        if self.eat(b"null") { Ok(()) } else { Err(Bad::Expected("a value")) }
    }

    /// Checks one value of any kind and moves past it. `levels`: objects and arrays inside one another
    /// that it may have.
    pub(super) fn skip(&mut self, levels: u32) -> Result<(), Bad> {
        let levels = levels.min(LEVELS_MAX);
        // Whether each open level is an object; the innermost is the lowest bit.
        let mut objects = 0u128;
        let mut level = 0;
        loop {
            match self.peek() {
                open @ (b'{' | b'[') => {
                    if level == levels {
                        return Err(Bad::Depth);
                    }
                    self.step();
                    level += 1;
                    objects = objects << 1 | u128::from(open == b'{');
                    let next = self.peek();
                    if open == b'{' && next != b'}' {
                        self.skip_key()?;
                        continue;
                    }
                    if open == b'[' && next != b']' {
                        continue;
                    }
                }
                b'"' => self.skip_string()?,
                b't' | b'f' => drop(self.boolean()?),
                b'n' => self.null()?,
                b'-' | b'0'..=b'9' => drop(self.number()?),
                _ => return Err(Bad::Expected("a value")),
            }
            // What closes after the value.
            loop {
                if level == 0 {
                    return Ok(());
                }
                let object = objects & 1 == 1;
                match self.peek() {
                    b',' => {
                        self.step();
                        if object {
                            self.skip_key()?;
                        }
                        break;
                    }
                    b'}' if object => self.step(),
                    b']' if !object => self.step(),
                    _ if object => return Err(Bad::Expected("`,` or `}`")),
                    _ => return Err(Bad::Expected("`,` or `]`")),
                }
                level -= 1;
                objects >>= 1;
            }
        }
    }

    fn skip_key(&mut self) -> Result<(), Bad> {
        if self.peek() != b'"' {
            return Err(Bad::Expected("a key"));
        }
        self.skip_string()?;
        self.require(b':', "`:`")
    }
}
