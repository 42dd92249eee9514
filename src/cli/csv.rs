//! Comma-separated values as RFC 4180 has them.

/// The records of a text, each with the number of the line that it begins at. Blank lines are none.
///
/// # Errors
/// The line of a quote that is not closed, or stands where none may.
pub(super) fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Vec::new();
    let mut chars = text.chars().peekable();
    let mut line = 1;
    while chars.peek().is_some() {
        let begins = line;
        let mut fields = Vec::new();
        loop {
            let mut field = String::new();
            if chars.next_if_eq(&'"').is_some() {
                loop {
                    match chars.next() {
                        Some('"') if chars.next_if_eq(&'"').is_none() => break,
                        Some(c) => {
                            line += usize::from(c == '\n');
                            field.push(c);
                        }
                        None => return Err(format!("line {begins}: a quote is not closed")),
                    }
                }
            } else {
                while let Some(c) = chars.next_if(|c| !matches!(c, ',' | '\n' | '\r')) {
                    if c == '"' {
                        return Err(format!(
                            "line {line}: a field with a quote in it begins and ends with quotes, and doubles it"
                        ));
                    }
                    field.push(c);
                }
            }
            fields.push(field);
            match chars.next() {
                Some(',') => {}
                Some('\r') if chars.next_if_eq(&'\n').is_some() => break,
                Some('\n') | None => break,
                Some(_) => return Err(format!("line {line}: a comma or the end of the line must follow a closing quote")),
            }
        }
        line += 1;
        if fields.iter().any(|field| !field.is_empty()) {
            records.push((begins, fields));
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, Vec<String>)> {
        records(text).unwrap()
    }

    #[test]
    fn fields_come_as_rfc_4180_says() {
        let fields = |line: usize, fields: &[&str]| (line, fields.iter().map(|field| (*field).to_owned()).collect());
        assert_eq!(read("key,subject\r\na,ali\r\n"), [fields(1, &["key", "subject"]), fields(2, &["a", "ali"])]);
        assert_eq!(read("\u{feff}a,\n\n\nb,c"), [fields(1, &["a", ""]), fields(4, &["b", "c"])]);
        assert_eq!(read("\"a,b\",\"say \"\"x\"\"\"\n\"two\nlines\",y\nz,\n")[0], fields(1, &["a,b", "say \"x\""]));
        assert_eq!(read("\"two\nlines\",y\nz,q\n"), [fields(1, &["two\nlines", "y"]), fields(3, &["z", "q"])]);
        assert_eq!(read("a b, c \n"), [fields(1, &["a b", " c "])], "blanks are a key's own");
        assert!(read("").is_empty() && read("\n\r\n").is_empty());
    }

    #[test]
    fn quotes_out_of_place_are_told_by_line() {
        for (wrong, line) in [("a\n\"b", 2), ("a\nb\"c", 2), ("\"a\"b", 1), ("a,\"b\" ,c", 1), ("a\rb", 1)] {
            assert!(records(wrong).unwrap_err().contains(&format!("line {line}")), "{wrong:?}");
        }
    }
}
