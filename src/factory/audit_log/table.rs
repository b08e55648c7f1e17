//! Events from CSV (RFC 4180): the first line names the fields; `payload.intent` is a field of `payload`, and a field that
//! holds JSON is what it holds.

use serde_json::{Map, Value};

/// Each row as an event.
pub(super) fn rows(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let first = text.lines().next().unwrap_or_default();
    let often = |separator: &char| first.matches(*separator).count();
    let separator = [',', ';', '\t'].into_iter().max_by_key(often).unwrap_or(',');
    let mut records = records(text, separator)?.into_iter();
    let names = records.next().unwrap_or_default();
    Ok(records.map(|record| event(&names, record)).collect())
}

fn event(names: &[String], record: Vec<String>) -> Map<String, Value> {
    let mut event = Map::new();
    for (name, text) in names.iter().zip(record) {
        let value = if text.starts_with(['{', '[']) {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        } else {
            Value::String(text)
        };
        match name.trim().split_once(['.', '/']) {
            Some((outer, inner)) => {
                let part = event.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(part) = part {
                    part.insert(inner.to_owned(), value);
                }
            }
            None => drop(event.insert(name.trim().to_owned(), value)),
        }
    }
    event
}

/// Quotes enclose fields that hold separators and line ends; two of them within quotes are one.
fn records(text: &str, separator: char) -> Result<Vec<Vec<String>>, String> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' if quoted => quoted = false,
            _ if quoted => field.push(character),
            '"' if field.is_empty() => quoted = true,
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other if other == separator => record.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    if quoted {
        return Err("is no CSV: it ends within quotes".to_owned());
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::records;

    #[test]
    fn quotes_separators_and_line_ends_stand_within_quotes() {
        let text = "a,\"b \"\"c\"\", d\ne\",\r\n,x\n";
        let expected = [vec!["a", "b \"c\", d\ne", ""], vec!["", "x"]];
        assert_eq!(records(text, ',').unwrap(), expected);
        assert!(records("\"a", ',').is_err());
        assert_eq!(records("", ',').unwrap(), Vec::<Vec<String>>::new());
    }
}
