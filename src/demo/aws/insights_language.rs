//! The Logs Insights query language, as much of it as is computed here: `fields`, `display`, `filter`,
//! `stats … by`, `sort`, `limit`.
//!
//! Rule: what is not understood is a `MalformedQueryException`, never silently left out.

use regex::Regex;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Pattern(String),
    Symbol(&'static str),
}

#[derive(Debug)]
pub enum Command {
    Fields(Vec<String>),
    Filter(Condition),
    Stats { counts: Vec<Aggregate>, by: Vec<Grouping> },
    Sort { field: String, descending: bool },
    Limit(usize),
}

#[derive(Debug)]
pub struct Aggregate {
    pub function: Function,
    /// The result's column.
    pub name: String,
}

#[derive(Debug)]
pub enum Function {
    CountAll,
    Count(String),
    Sum(String),
    Average(String),
    Minimum(String),
    Maximum(String),
}

#[derive(Debug)]
pub enum Grouping {
    /// Milliseconds, and the column.
    Bin(i64, String),
    Field(String),
}

#[derive(Debug)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Present(String),
    Compare {
        field: String,
        operator: &'static str,
        operand: Operand,
    },
    Like {
        field: String,
        pattern: Regex,
    },
    OneOf {
        field: String,
        operands: Vec<Operand>,
    },
    /// `toMillis(@timestamp) % 7 = 0`.
    Remainder {
        divisor: i64,
        remainder: i64,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Text(String),
    Number(f64),
}

/// Symbols, longest first where one begins another.
const SYMBOLS: [&str; 15] = ["=~", "!=", "<=", ">=", "=", "<", ">", "|", "(", ")", ",", "*", "[", "]", "%"];

fn tokens(query: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = query;
    'next: while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        if first == '#' {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        if let quote @ ('"' | '\'' | '`' | '/') = first {
            let (body, after) = quoted(&rest[1..], quote).ok_or_else(|| format!("unclosed {quote}"))?;
            tokens.push(match quote {
                '/' => Token::Pattern(body),
                '`' => Token::Word(body),
                _ => Token::Text(body),
            });
            rest = after;
            continue;
        }
        for symbol in SYMBOLS {
            if let Some(after) = rest.strip_prefix(symbol) {
                tokens.push(Token::Symbol(symbol));
                rest = after;
                continue 'next;
            }
        }
        let inside = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '@' | '.');
        let signed = first == '-' && rest[1..].starts_with(|next: char| next.is_ascii_digit());
        let length = rest
            .char_indices()
            .find(|(index, letter)| !(inside(*letter) || (*index == 0 && signed)))
            .map_or(rest.len(), |(index, _)| index);
        if length == 0 {
            return Err(format!("unexpected {first:?}"));
        }
        let (word, after) = rest.split_at(length);
        tokens.push(word.parse().map_or_else(|_| Token::Word(word.to_owned()), Token::Number));
        rest = after;
    }
    Ok(tokens)
}

/// The text up to the closing quote, with escaped quotes resolved, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut body = String::new();
    let mut escaped = false;
    for (index, letter) in text.char_indices() {
        if escaped {
            if letter != quote {
                body.push('\\');
            }
            body.push(letter);
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == quote {
            return Some((body, &text[index + letter.len_utf8()..]));
        } else {
            body.push(letter);
        }
    }
    None
}

/// # Errors
/// One sentence on the first part that is not understood.
pub fn parse(query: &str) -> Result<Vec<Command>, String> {
    let tokens = tokens(query)?;
    let mut commands = Vec::new();
    for part in tokens.split(|token| *token == Token::Symbol("|")) {
        if part.is_empty() {
            return Err("empty command".to_owned());
        }
        let mut parser = Parser { tokens: part, index: 0 };
        let command = parser.command()?;
        if let Some(extra) = parser.peek() {
            return Err(format!("unexpected {extra:?}"));
        }
        let second_stats = matches!(command, Command::Stats { .. })
            && commands.iter().any(|earlier| matches!(earlier, Command::Stats { .. }));
        if second_stats {
            return Err("a second stats command is not computed here".to_owned());
        }
        commands.push(command);
    }
    Ok(commands)
}

struct Parser<'a> {
    tokens: &'a [Token],
    index: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.index)
    }

    fn take(&mut self) -> Result<Token, String> {
        let token = self.peek().cloned().ok_or("the query ends too early")?;
        self.index += 1;
        Ok(token)
    }

    fn symbol(&mut self, symbol: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Symbol(symbol));
        self.index += usize::from(found);
        found
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.index += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), String> {
        if self.symbol(symbol) { Ok(()) } else { Err(format!("expected {symbol}")) }
    }

    fn field(&mut self) -> Result<String, String> {
        match self.take()? {
            Token::Word(word) => Ok(word),
            other => Err(format!("expected a field, found {other:?}")),
        }
    }

    fn command(&mut self) -> Result<Command, String> {
        let name = self.field()?;
        match name.to_lowercase().as_str() {
            "fields" | "display" => {
                let mut fields = vec![self.field()?];
                while self.symbol(",") {
                    fields.push(self.field()?);
                }
                Ok(Command::Fields(fields))
            }
            "filter" => Ok(Command::Filter(self.any_of()?)),
            "stats" => self.stats(),
            "sort" => {
                let field = self.column()?;
                let descending = self.keyword("desc");
                if !descending {
                    self.keyword("asc");
                }
                Ok(Command::Sort { field, descending })
            }
            "limit" => match self.take()? {
                Token::Number(number) if (1.0..=10_000.0).contains(&number) && number.fract() == 0.0 => {
                    Ok(Command::Limit(number as usize))
                }
                _ => Err("limit must be between 1 and 10000".to_owned()),
            },
            _ => Err(format!("the command {name} is not computed here")),
        }
    }

    /// A field or the column of a calculation, such as `count(*)` or `bin(1m)`.
    fn column(&mut self) -> Result<String, String> {
        let name = self.field()?;
        if !self.symbol("(") {
            return Ok(name);
        }
        let inner = match self.take()? {
            Token::Symbol("*") => "*".to_owned(),
            Token::Word(word) => word,
            other => return Err(format!("unexpected {other:?}")),
        };
        self.expect(")")?;
        Ok(format!("{name}({inner})"))
    }

    fn stats(&mut self) -> Result<Command, String> {
        let mut counts = vec![self.aggregate()?];
        while self.symbol(",") {
            counts.push(self.aggregate()?);
        }
        let mut by = Vec::new();
        if self.keyword("by") {
            by.push(self.grouping()?);
            while self.symbol(",") {
                by.push(self.grouping()?);
            }
        }
        Ok(Command::Stats { counts, by })
    }

    fn aggregate(&mut self) -> Result<Aggregate, String> {
        let column = self.column()?;
        let call = column.strip_suffix(')').and_then(|call| call.split_once('('));
        let (name, argument) = call.ok_or_else(|| format!("{column} is no calculation"))?;
        let field = argument.to_owned();
        let function = match (name.to_lowercase().as_str(), argument) {
            ("count", "*") => Function::CountAll,
            (_, "*") => return Err(format!("{name}(*) is not computed here")),
            ("count", _) => Function::Count(field),
            ("sum", _) => Function::Sum(field),
            ("avg", _) => Function::Average(field),
            ("min", _) => Function::Minimum(field),
            ("max", _) => Function::Maximum(field),
            _ => return Err(format!("the function {name} is not computed here")),
        };
        let name = if self.keyword("as") { self.field()? } else { column };
        Ok(Aggregate { function, name })
    }

    fn grouping(&mut self) -> Result<Grouping, String> {
        let column = self.column()?;
        match column.strip_prefix("bin(").and_then(|rest| rest.strip_suffix(')')) {
            Some(width) => {
                let width =
                    bin_width(width).ok_or_else(|| format!("{column} has no width that is understood"))?;
                let name = if self.keyword("as") { self.field()? } else { column };
                Ok(Grouping::Bin(width, name))
            }
            None if column.contains('(') => Err(format!("{column} is not computed here")),
            None => Ok(Grouping::Field(column)),
        }
    }

    fn any_of(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all_of()?];
        while self.keyword("or") {
            parts.push(self.all_of()?);
        }
        Ok(Condition::Any(parts))
    }

    fn all_of(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.condition()?];
        while self.keyword("and") {
            parts.push(self.condition()?);
        }
        Ok(Condition::All(parts))
    }

    fn condition(&mut self) -> Result<Condition, String> {
        if self.keyword("not") {
            return Ok(Condition::Not(Box::new(self.condition()?)));
        }
        if self.symbol("(") {
            let inner = self.any_of()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let field = self.field()?;
        if field == "toMillis" {
            return self.remainder();
        }
        if field.eq_ignore_ascii_case("ispresent") && self.symbol("(") {
            let field = self.field()?;
            self.expect(")")?;
            return Ok(Condition::Present(field));
        }
        let negated = self.keyword("not");
        if self.keyword("like") || (!negated && self.symbol("=~")) {
            let like = Condition::Like { field, pattern: self.pattern()? };
            return Ok(if negated { Condition::Not(Box::new(like)) } else { like });
        }
        if self.keyword("in") {
            self.expect("[")?;
            let mut operands = vec![self.operand()?];
            while self.symbol(",") {
                operands.push(self.operand()?);
            }
            self.expect("]")?;
            let one_of = Condition::OneOf { field, operands };
            return Ok(if negated { Condition::Not(Box::new(one_of)) } else { one_of });
        }
        match self.take()? {
            Token::Symbol(operator @ ("=" | "!=" | "<" | "<=" | ">" | ">=")) if !negated => {
                Ok(Condition::Compare { field, operator, operand: self.operand()? })
            }
            other => Err(format!("expected a comparison, found {other:?}")),
        }
    }

    /// `toMillis(@timestamp) % 7 = 0`, the only arithmetic that is computed here.
    fn remainder(&mut self) -> Result<Condition, String> {
        self.expect("(")?;
        if self.field()? != "@timestamp" {
            return Err("toMillis is computed of @timestamp alone".to_owned());
        }
        self.expect(")")?;
        self.expect("%")?;
        let divisor = self.whole_number()?;
        self.expect("=")?;
        let remainder = self.whole_number()?;
        if divisor == 0 {
            return Err("a division by zero".to_owned());
        }
        Ok(Condition::Remainder { divisor, remainder })
    }

    fn whole_number(&mut self) -> Result<i64, String> {
        match self.take()? {
            Token::Number(number) if (0.0..1e9).contains(&number) && number.fract() == 0.0 => {
                Ok(number as i64)
            }
            other => Err(format!("expected a whole number, found {other:?}")),
        }
    }

    fn operand(&mut self) -> Result<Operand, String> {
        match self.take()? {
            Token::Text(text) => Ok(Operand::Text(text)),
            Token::Number(number) => Ok(Operand::Number(number)),
            other => Err(format!("expected a value, found {other:?}")),
        }
    }

    /// A pattern, or a text to be contained as it stands.
    fn pattern(&mut self) -> Result<Regex, String> {
        let source = match self.take()? {
            Token::Pattern(source) => source,
            Token::Text(text) => regex::escape(&text),
            other => return Err(format!("expected a pattern, found {other:?}")),
        };
        Regex::new(&source).map_err(|error| format!("the pattern cannot be read: {error}"))
    }
}

/// Milliseconds of `30s`, `1m`, `5min`, `2h`, `1d`.
fn bin_width(text: &str) -> Option<i64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let number: i64 = text[..digits].parse().ok().filter(|number| (1..=100_000).contains(number))?;
    let unit = match &text[digits..] {
        "s" | "sec" => 1000,
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(number * unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_supported_commands_are_read() {
        let commands = parse(
            "fields @timestamp, @message | filter level = 'ERROR' and @message like /time.?out/ \
             | stats count(*) as hits, avg(duration_ms) by bin(5m), path | sort hits desc | limit 20",
        )
        .unwrap();
        assert_eq!(commands.len(), 5);
        assert!(
            matches!(&commands[2], Command::Stats { by, .. } if matches!(by[0], Grouping::Bin(300_000, _)))
        );
        assert!(matches!(&commands[3], Command::Sort { field, descending: true } if field == "hits"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for query in [
            "parse @message '* *' as a, b",
            "fields @message | dedup path",
            "filter level",
            "filter @message like /(/",
            "stats pct(duration, 99)",
            "fields @message |",
            "limit 0",
            "fields strlen(@message)",
            "sort @timestamp desc, path",
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_fail_otherwise_than_with_a_sentence(query in "\\PC{0,60}") {
            let _ = parse(&query);
        }
    }
}
