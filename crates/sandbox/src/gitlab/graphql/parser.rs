//! The query language, as far as queries go: operations, fields, aliases, arguments, variables with defaults,
//! fragments (named and inline), `@include` and `@skip`. Types of variables are read over.

use std::collections::HashMap;

use serde_json::{Map, Number, Value, json};

use super::schema::Object;

/// How deep selections may nest, so that a query cannot exhaust the stack.
const DEEPEST: usize = 30;

/// What is wrong with a query, or with one value of its answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    message: String,
    /// Line and column, from 1.
    at: Option<(usize, usize)>,
    /// Where in the answer.
    pub(super) path: Vec<String>,
    /// Nothing of the query is run.
    pub(super) fatal: bool,
}

impl Fault {
    pub(super) fn new(message: &str) -> Self {
        Self {
            message: message.to_owned(),
            at: None,
            path: Vec::new(),
            fatal: true,
        }
    }

    /// A fault against the schema.
    pub(super) fn schema(message: &str) -> Self {
        Self::new(message)
    }

    /// A fault of one value; the rest of the answer stands.
    pub(super) fn value(message: &str) -> Self {
        Self {
            fatal: false,
            ..Self::new(message)
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut value = json!({ "message": self.message });
        if let (Value::Object(map), Some((line, column))) = (&mut value, self.at) {
            map.insert("locations".to_owned(), json!([{ "line": line, "column": column }]));
        }
        if let (Value::Object(map), false) = (&mut value, self.path.is_empty()) {
            map.insert("path".to_owned(), json!(self.path));
        }
        value
    }
}

/// What a field of an object is.
pub(super) enum Selection<'w> {
    /// A scalar, which may be null.
    Value(Value),
    /// No object where there could be one.
    Nothing,
    /// An object.
    One(Object<'w>),
    /// A list of objects.
    Many(Vec<Object<'w>>),
}

/// A field with its variables filled in and its fragments spread.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) alias: String,
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
    pub(super) fields: Vec<Field>,
}

/// A parsed document.
#[derive(Debug)]
pub(super) struct Document {
    operations: Vec<Operation>,
    fragments: HashMap<String, Vec<Node>>,
}

#[derive(Debug)]
struct Operation {
    kind: String,
    name: Option<String>,
    variables: Vec<Variable>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Variable {
    name: String,
    kind: String,
    default: Option<Literal>,
}

#[derive(Debug, Clone)]
enum Node {
    Field {
        alias: Option<String>,
        name: String,
        arguments: Vec<(String, Literal)>,
        directives: Directives,
        nodes: Vec<Node>,
    },
    Spread {
        name: String,
        directives: Directives,
    },
    Inline {
        directives: Directives,
        nodes: Vec<Node>,
    },
}

type Directives = Vec<(String, Vec<(String, Literal)>)>;

#[derive(Debug, Clone)]
enum Literal {
    Value(Value),
    Variable(String),
    List(Vec<Literal>),
    Object(Vec<(String, Literal)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Punctuator(char),
    Spread,
    Text(String),
    Number(String),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Name(text) | Self::Number(text) => text.clone(),
            Self::Punctuator(sign) => sign.to_string(),
            Self::Spread => "...".to_owned(),
            Self::Text(text) => format!("\"{text}\""),
        }
    }
}

impl Document {
    /// Parses a document.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            position: 0,
            depth: 0,
        };
        let mut document = Self {
            operations: Vec::new(),
            fragments: HashMap::new(),
        };
        while parser.peek().is_some() {
            if parser.peek() == Some(&Token::Name("fragment".to_owned())) {
                let (name, nodes) = parser.fragment()?;
                document.fragments.insert(name, nodes);
            } else {
                document.operations.push(parser.operation()?);
            }
        }
        if document.operations.is_empty() {
            return Err(Fault::new("Unexpected end of document"));
        }
        Ok(document)
    }

    /// The fields of the operation that is to be run, variables filled in.
    pub(super) fn fields(&self, name: Option<&str>, given: &Map<String, Value>) -> Result<Vec<Field>, Vec<Fault>> {
        let chosen = match name {
            Some(name) => self
                .operations
                .iter()
                .find(|operation| operation.name.as_deref() == Some(name)),
            None if self.operations.len() == 1 => self.operations.first(),
            None => None,
        };
        let operation = chosen.ok_or_else(|| {
            let text = name.map_or_else(
                || "An operation name is required".to_owned(),
                |name| format!("No operation named \"{name}\""),
            );
            vec![Fault::new(&text)]
        })?;
        if operation.kind != "query" {
            return Err(vec![Fault::new(&format!("The sandbox runs no {}s", operation.kind))]);
        }
        let mut variables = Map::new();
        let mut faults = Vec::new();
        for variable in &operation.variables {
            let value = given.get(&variable.name).cloned().or_else(|| {
                variable
                    .default
                    .as_ref()
                    .and_then(|literal| fill(literal, &Map::new()).ok())
            });
            match value {
                Some(Value::Null) | None if variable.kind.ends_with('!') => faults.push(Fault::new(&format!(
                    "Variable ${} of type {} was provided invalid value",
                    variable.name, variable.kind
                ))),
                Some(value) => {
                    variables.insert(variable.name.clone(), value);
                }
                None => {
                    variables.insert(variable.name.clone(), Value::Null);
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        self.expand(&operation.nodes, &variables, 0)
            .map_err(|fault| vec![fault])
    }

    fn expand(&self, nodes: &[Node], variables: &Map<String, Value>, depth: usize) -> Result<Vec<Field>, Fault> {
        if depth > DEEPEST {
            return Err(Fault::new(&format!(
                "Query has depth of {depth}, which exceeds max depth of {DEEPEST}"
            )));
        }
        let mut fields: Vec<Field> = Vec::new();
        for node in nodes {
            match node {
                Node::Field {
                    alias,
                    name,
                    arguments,
                    directives,
                    nodes,
                } => {
                    if !included(directives, variables)? {
                        continue;
                    }
                    let mut filled = Map::new();
                    for (key, literal) in arguments {
                        filled.insert(key.clone(), fill(literal, variables)?);
                    }
                    let field = Field {
                        alias: alias.clone().unwrap_or_else(|| name.clone()),
                        name: name.clone(),
                        arguments: filled,
                        fields: self.expand(nodes, variables, depth + 1)?,
                    };
                    merge(&mut fields, field)?;
                }
                Node::Spread { name, directives } => {
                    let nodes = self
                        .fragments
                        .get(name)
                        .ok_or_else(|| Fault::new(&format!("Fragment {name} was used, but not defined")))?;
                    if included(directives, variables)? {
                        for field in self.expand(nodes, variables, depth + 1)? {
                            merge(&mut fields, field)?;
                        }
                    }
                }
                Node::Inline { directives, nodes } => {
                    if included(directives, variables)? {
                        for field in self.expand(nodes, variables, depth + 1)? {
                            merge(&mut fields, field)?;
                        }
                    }
                }
            }
        }
        Ok(fields)
    }
}

/// Two selections under one alias must be the same field with the same arguments; their inner fields are joined.
fn merge(fields: &mut Vec<Field>, field: Field) -> Result<(), Fault> {
    let Some(known) = fields.iter_mut().find(|known| known.alias == field.alias) else {
        fields.push(field);
        return Ok(());
    };
    if known.name != field.name || known.arguments != field.arguments {
        return Err(Fault::new(&format!(
            "Field '{}' has an argument or field conflict",
            field.alias
        )));
    }
    for inner in field.fields {
        merge(&mut known.fields, inner)?;
    }
    Ok(())
}

fn included(directives: &Directives, variables: &Map<String, Value>) -> Result<bool, Fault> {
    for (name, arguments) in directives {
        let condition = arguments
            .iter()
            .find(|(key, _)| key == "if")
            .map(|(_, literal)| fill(literal, variables));
        let condition = condition.transpose()? == Some(Value::Bool(true));
        match name.as_str() {
            "include" if !condition => return Ok(false),
            "skip" if condition => return Ok(false),
            "include" | "skip" => {}
            _ => return Err(Fault::new(&format!("Directive @{name} is not defined"))),
        }
    }
    Ok(true)
}

fn fill(literal: &Literal, variables: &Map<String, Value>) -> Result<Value, Fault> {
    match literal {
        Literal::Value(value) => Ok(value.clone()),
        Literal::Variable(name) => variables
            .get(name)
            .cloned()
            .ok_or_else(|| Fault::new(&format!("Variable ${name} is used by anonymous query but not declared"))),
        Literal::List(items) => Ok(Value::Array(
            items
                .iter()
                .map(|item| fill(item, variables))
                .collect::<Result<_, _>>()?,
        )),
        Literal::Object(pairs) => {
            let filled = pairs
                .iter()
                .map(|(key, item)| Ok((key.clone(), fill(item, variables)?)));
            Ok(Value::Object(filled.collect::<Result<_, Fault>>()?))
        }
    }
}

/// A token with its line and column, from 1.
type Placed = (Token, (usize, usize));

struct Parser {
    tokens: Vec<Placed>,
    position: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position).map(|(token, _)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.position += 1;
        token
    }

    fn take(&mut self, sign: char) -> bool {
        let there = self.peek() == Some(&Token::Punctuator(sign));
        self.position += usize::from(there);
        there
    }

    fn fault(&self, expected: &str) -> Fault {
        match self.tokens.get(self.position) {
            None => Fault::new("Unexpected end of document"),
            Some((token, at)) => {
                let shown = token.shown();
                let text = format!(
                    "Parse error on \"{shown}\": expected {expected}, at [{}, {}]",
                    at.0, at.1
                );
                Fault {
                    at: Some(*at),
                    ..Fault::new(&text)
                }
            }
        }
    }

    fn expect(&mut self, sign: char) -> Result<(), Fault> {
        if self.take(sign) {
            Ok(())
        } else {
            Err(self.fault(&format!("\"{sign}\"")))
        }
    }

    fn name(&mut self) -> Result<String, Fault> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.position += 1;
                Ok(name)
            }
            _ => Err(self.fault("a name")),
        }
    }

    fn fragment(&mut self) -> Result<(String, Vec<Node>), Fault> {
        self.name()?;
        let name = self.name()?;
        if self.name()? != "on" {
            return Err(self.fault("\"on\""));
        }
        self.name()?;
        Ok((name, self.selection()?))
    }

    fn operation(&mut self) -> Result<Operation, Fault> {
        if self.peek() == Some(&Token::Punctuator('{')) {
            let nodes = self.selection()?;
            return Ok(Operation {
                kind: "query".to_owned(),
                name: None,
                variables: Vec::new(),
                nodes,
            });
        }
        let kind = self.name()?;
        if !matches!(kind.as_str(), "query" | "mutation" | "subscription") {
            self.position -= 1;
            return Err(self.fault("query, mutation, subscription, or \"{\""));
        }
        let name = if matches!(self.peek(), Some(Token::Name(_))) {
            Some(self.name()?)
        } else {
            None
        };
        let mut variables = Vec::new();
        if self.take('(') {
            while !self.take(')') {
                self.expect('$')?;
                let name = self.name()?;
                self.expect(':')?;
                let kind = self.kind()?;
                let default = if self.take('=') { Some(self.literal()?) } else { None };
                variables.push(Variable { name, kind, default });
            }
        }
        self.directives()?;
        Ok(Operation {
            kind,
            name,
            variables,
            nodes: self.selection()?,
        })
    }

    /// The type of a variable, as text: `[ID!]!`.
    fn kind(&mut self) -> Result<String, Fault> {
        self.deeper()?;
        let mut kind = if self.take('[') {
            let inner = self.kind()?;
            self.expect(']')?;
            format!("[{inner}]")
        } else {
            self.name()?
        };
        self.depth -= 1;
        if self.take('!') {
            kind.push('!');
        }
        Ok(kind)
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            Err(Fault::new("Query is nested too deeply"))
        } else {
            Ok(())
        }
    }

    fn selection(&mut self) -> Result<Vec<Node>, Fault> {
        self.deeper()?;
        self.expect('{')?;
        let mut nodes = Vec::new();
        while !self.take('}') {
            nodes.push(self.node()?);
        }
        self.depth -= 1;
        if nodes.is_empty() {
            self.position -= 1;
            return Err(self.fault("a name"));
        }
        Ok(nodes)
    }

    fn node(&mut self) -> Result<Node, Fault> {
        if self.peek() == Some(&Token::Spread) {
            self.position += 1;
            let on = Token::Name("on".to_owned());
            if matches!(self.peek(), Some(Token::Name(_))) && self.peek() != Some(&on) {
                return Ok(Node::Spread {
                    name: self.name()?,
                    directives: self.directives()?,
                });
            }
            if self.peek() == Some(&on) {
                self.position += 1;
                self.name()?;
            }
            return Ok(Node::Inline {
                directives: self.directives()?,
                nodes: self.selection()?,
            });
        }
        let first = self.name()?;
        let (alias, name) = if self.take(':') {
            (Some(first), self.name()?)
        } else {
            (None, first)
        };
        let arguments = self.arguments()?;
        let directives = self.directives()?;
        let inner = self.peek() == Some(&Token::Punctuator('{'));
        let nodes = if inner { self.selection()? } else { Vec::new() };
        Ok(Node::Field {
            alias,
            name,
            arguments,
            directives,
            nodes,
        })
    }

    fn arguments(&mut self) -> Result<Vec<(String, Literal)>, Fault> {
        let mut arguments = Vec::new();
        if self.take('(') {
            while !self.take(')') {
                let name = self.name()?;
                self.expect(':')?;
                arguments.push((name, self.literal()?));
            }
        }
        Ok(arguments)
    }

    fn directives(&mut self) -> Result<Directives, Fault> {
        let mut directives = Vec::new();
        while self.take('@') {
            directives.push((self.name()?, self.arguments()?));
        }
        Ok(directives)
    }

    fn literal(&mut self) -> Result<Literal, Fault> {
        self.deeper()?;
        let literal = match self.next() {
            Some(Token::Text(text)) => Literal::Value(Value::String(text)),
            Some(Token::Number(text)) => match serde_json::from_str::<Number>(&text) {
                Ok(number) => Literal::Value(Value::Number(number)),
                Err(_) => return Err(Fault::new(&format!("Expected a number, got {text}"))),
            },
            Some(Token::Name(word)) => Literal::Value(match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                // A name is a value of an enumeration.
                _ => Value::String(word),
            }),
            Some(Token::Punctuator('$')) => Literal::Variable(self.name()?),
            Some(Token::Punctuator('[')) => {
                let mut items = Vec::new();
                while !self.take(']') {
                    items.push(self.literal()?);
                }
                Literal::List(items)
            }
            Some(Token::Punctuator('{')) => {
                let mut pairs = Vec::new();
                while !self.take('}') {
                    let name = self.name()?;
                    self.expect(':')?;
                    pairs.push((name, self.literal()?));
                }
                Literal::Object(pairs)
            }
            _ => {
                self.position -= 1;
                return Err(self.fault("a value"));
            }
        };
        self.depth -= 1;
        Ok(literal)
    }
}

/// The tokens of a text with where they stand; commas and comments are nothing.
fn tokens(text: &str) -> Result<Vec<Placed>, Fault> {
    let mut found = Vec::new();
    let letters: Vec<char> = text.chars().collect();
    let (mut index, mut line, mut start) = (0, 1, 0);
    while let Some(&letter) = letters.get(index) {
        let at = (line, index - start + 1);
        match letter {
            '\n' => {
                line += 1;
                start = index + 1;
                index += 1;
            }
            '#' => index += letters[index..].iter().take_while(|letter| **letter != '\n').count(),
            ' ' | '\t' | '\r' | ',' | '\u{feff}' => index += 1,
            '.' if letters[index..].starts_with(&['.', '.', '.']) => {
                found.push((Token::Spread, at));
                index += 3;
            }
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                found.push((Token::Punctuator(letter), at));
                index += 1;
            }
            '"' => {
                let (value, taken) = quoted(&letters[index..]).ok_or_else(|| Fault {
                    at: Some(at),
                    ..Fault::new("Expected string or block string, but it was malformed")
                })?;
                line += letters[index..index + taken]
                    .iter()
                    .filter(|letter| **letter == '\n')
                    .count();
                found.push((Token::Text(value), at));
                index += taken;
            }
            _ if letter.is_ascii_alphabetic() || letter == '_' => {
                let name: String = letters[index..]
                    .iter()
                    .take_while(|letter| letter.is_ascii_alphanumeric() || **letter == '_')
                    .collect();
                index += name.len();
                found.push((Token::Name(name), at));
            }
            _ if letter.is_ascii_digit() || letter == '-' => {
                let number: String = letters[index..]
                    .iter()
                    .take_while(|letter| letter.is_ascii_digit() || matches!(letter, '-' | '+' | '.' | 'e' | 'E'))
                    .collect();
                index += number.len();
                found.push((Token::Number(number), at));
            }
            _ => {
                let text = format!("Parse error on \"{letter}\" (error) at [{}, {}]", at.0, at.1);
                return Err(Fault {
                    at: Some(at),
                    ..Fault::new(&text)
                });
            }
        }
    }
    Ok(found)
}

/// A quoted text at the start of these letters: its value, and how many letters it takes.
fn quoted(letters: &[char]) -> Option<(String, usize)> {
    let fence = ['"', '"', '"'];
    if letters.starts_with(&fence) {
        let length = letters[3..].windows(3).position(|window| window == fence)?;
        return Some((
            letters[3..3 + length].iter().collect::<String>().trim().to_owned(),
            length + 6,
        ));
    }
    let mut value = String::new();
    let mut index = 1;
    loop {
        match letters.get(index)? {
            '"' => return Some((value, index + 1)),
            '\n' => return None,
            '\\' => {
                index += 1;
                match letters.get(index)? {
                    'n' => value.push('\n'),
                    't' => value.push('\t'),
                    'r' => value.push('\r'),
                    'b' => value.push('\u{8}'),
                    'f' => value.push('\u{c}'),
                    'u' => {
                        let digits: String = letters.get(index + 1..index + 5)?.iter().collect();
                        value.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?).unwrap_or('\u{fffd}'));
                        index += 4;
                    }
                    other @ ('"' | '\\' | '/') => value.push(*other),
                    _ => return None,
                }
            }
            other => value.push(*other),
        }
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(query: &str, variables: Value) -> Result<Vec<Field>, Vec<Fault>> {
        let Value::Object(variables) = variables else {
            return Ok(Vec::new());
        };
        Document::parse(query)
            .map_err(|fault| vec![fault])?
            .fields(None, &variables)
    }

    #[test]
    fn aliases_arguments_and_variables_are_read() {
        let found = fields(
            "query Paths($paths: [String!]!, $first: Int = 50) {\n  a: projects(fullPaths: $paths, first: $first) { nodes { id, fullPath } }\n  b: group(fullPath: \"x/y\\u00e9\") { id } # a comment\n}",
            json!({ "paths": ["p/q"] }),
        )
        .unwrap();
        assert_eq!((found[0].alias.as_str(), found[0].name.as_str()), ("a", "projects"));
        assert_eq!(
            Value::Object(found[0].arguments.clone()),
            json!({ "fullPaths": ["p/q"], "first": 50 })
        );
        assert_eq!(found[0].fields[0].fields.len(), 2);
        assert_eq!(found[1].arguments["fullPath"], "x/yé");
    }

    #[test]
    fn fragments_and_directives_are_followed() {
        let found = fields(
            "query($with: Boolean!) { currentUser { ...names id @include(if: $with) ... on User { id @skip(if: true) } } } fragment names on User { name }",
            json!({ "with": false }),
        )
        .unwrap();
        let names: Vec<&str> = found[0].fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["name"]);
        assert!(fields("{ a { ...missing } }", json!({})).is_err());
        assert!(fields("{ a { ...round } } fragment round on A { a { ...round } }", json!({})).is_err());
    }

    #[test]
    fn faults_say_where_they_are() {
        let fault = Document::parse("{\n  projects(fullPaths: ) { id }\n}").unwrap_err();
        assert_eq!(fault.to_json()["locations"], json!([{ "line": 2, "column": 23 }]));
        for broken in [
            "",
            "{",
            "{ a",
            "{ }",
            "query {",
            "{ a(b) }",
            "{ a: }",
            "\"",
            "{ a(b: \"x) }",
            "%",
            "{ a(b: 1.2.3) }",
        ] {
            assert!(Document::parse(broken).is_err(), "{broken:?} was taken");
        }
        let deep = "{a".repeat(200);
        assert!(Document::parse(&deep).is_err());
        assert!(Document::parse(&format!("{{ a(b: {}", "[".repeat(100_000))).is_err());
    }

    #[test]
    fn a_required_variable_must_be_given() {
        let query = "query($paths: [String!]!) { projects(fullPaths: $paths) { nodes { id } } }";
        assert!(fields(query, json!({})).is_err());
        assert!(
            fields(
                "{ projects(fullPaths: $paths) { nodes { id } } }",
                json!({ "paths": [] })
            )
            .is_err()
        );
        assert!(fields("query A { a } query B { b }", json!({})).is_err());
        assert!(fields("mutation { a }", json!({})).is_err());
    }
}
