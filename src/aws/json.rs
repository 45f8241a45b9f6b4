//! As much of JSON as the endpoints write that lend keys: one object, of which the members that are strings count.

/// How deep values that nobody asks for may be nested.
const DEEPEST: usize = 16;

/// The members of an object that are strings; `None` if the text is not one object.
pub fn strings(text: &str) -> Option<Vec<(String, String)>> {
    let mut reader = Reader { text, at: 0 };
    let mut found = Vec::new();
    reader.object(0, &mut |name, value| {
        if let Some(value) = value {
            found.push((name, value));
        }
    })?;
    reader.blank();
    (reader.at == text.len()).then_some(found)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn blank(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn take(&mut self, mark: char) -> Option<()> {
        self.blank();
        self.text[self.at..].starts_with(mark).then(|| self.at += 1)
    }

    fn next(&mut self) -> Option<char> {
        let character = self.text[self.at..].chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn object(&mut self, depth: usize, member: &mut dyn FnMut(String, Option<String>)) -> Option<()> {
        self.take('{')?;
        if self.take('}').is_some() {
            return Some(());
        }
        loop {
            let name = self.string()?;
            self.take(':')?;
            let value = self.value(depth)?;
            member(name, value);
            if self.take(',').is_none() {
                return self.take('}');
            }
        }
    }

    /// A value: its text if it is a string.
    fn value(&mut self, depth: usize) -> Option<Option<String>> {
        self.blank();
        match self.text[self.at..].chars().next()? {
            '"' => return self.string().map(Some),
            _ if depth == DEEPEST => return None,
            '{' => self.object(depth + 1, &mut |_, _| ())?,
            '[' => self.array(depth + 1)?,
            _ => self.word()?,
        }
        Some(None)
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.take('[')?;
        if self.take(']').is_some() {
            return Some(());
        }
        loop {
            self.value(depth)?;
            if self.take(',').is_none() {
                return self.take(']');
            }
        }
    }

    /// A number, or one of the three words.
    fn word(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        self.at += end;
        let number = word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && word.parse::<f64>().is_ok();
        (number || ["true", "false", "null"].contains(&word)).then_some(())
    }

    fn string(&mut self) -> Option<String> {
        self.take('"')?;
        let mut value = String::new();
        loop {
            match self.next()? {
                '"' => return Some(value),
                '\\' => value.push(self.escape()?),
                character if character < ' ' => return None,
                character => value.push(character),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            mark @ ('"' | '\\' | '/') => mark,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = self.unit()?;
                if !(0xd800..0xdc00).contains(&unit) {
                    return char::from_u32(unit);
                }
                // A character beyond the first 65,536 is written as two.
                if (self.next()?, self.next()?) != ('\\', 'u') {
                    return None;
                }
                let low = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + low)?
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit * 16 + self.next()?.to_digit(16)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_are_strings_are_found_and_others_passed_over() {
        let text = r#" {"Code" : "Success", "n": -1.5e3, "deep": {"Token": "no", "list": [1, [], {}, null]},
            "flag": true, "Token": "a\/b\"\\\u00e9\ud83d\udd11\n" } "#;
        let expected = vec![("Code".to_owned(), "Success".to_owned()), ("Token".to_owned(), "a/b\"\\é🔑\n".to_owned())];
        assert_eq!(strings(text), Some(expected));
        assert_eq!(strings("{}"), Some(vec![]));
    }

    #[test]
    fn what_is_not_one_object_is_nothing() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            "",
            "null",
            "[]",
            "{",
            "{}x",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":"b",}"#,
            r#"{"a":"b"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\ud83d"}"#,
            r#"{"a":"\ud83dä"}"#,
            r#"{"a":"\ud83d\u0041"}"#,
            r#"{"a":"\udd11"}"#,
            r#"{"a":NaN}"#,
            r#"{"a":infinity}"#,
            "{\"a\":\"\u{1}\"}",
            "{é:1}",
            &deep,
        ] {
            assert_eq!(strings(text), None, "{}", text.chars().take(40).collect::<String>());
        }
    }
}
