//! A Rust source file taken apart just far enough for the checks: per line its code, its comments
//! and its string literals, whether it is only compiled for tests, and where functions end.
//!
//! This is a lexer, not a parser: it knows comments, literals and braces. What it cannot know (what
//! a macro expands to, for instance) no check relies on.

use std::collections::BTreeSet;

/// One line of a source file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// The code, each string literal reduced to its quotes.
    pub(crate) code: String,
    /// The text of the comments.
    pub(crate) comment: String,
    /// The text inside string literals.
    pub(crate) literal: String,
    /// Only compiled for tests.
    pub(crate) test: bool,
}

/// One source file.
pub(crate) struct Source {
    /// Line *i* of the file is `lines[i - 1]`.
    pub(crate) lines: Vec<Line>,
    /// Modules declared for tests only, whose files are therefore tests.
    pub(crate) test_modules: BTreeSet<String>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From 1, where the keyword `fn` stands.
    pub(crate) first_line: usize,
    /// Lines from the first one to the closing brace, both included.
    pub(crate) line_count: usize,
}

impl Source {
    /// Takes `text` apart.
    pub(crate) fn scan(text: &str) -> Self {
        let mut lines = Lexer::new(text).run();
        let test_modules = mark_tests(&mut lines);
        Self { lines, test_modules }
    }

    /// Lines that hold code outside tests.
    pub(crate) fn code_line_count(&self) -> usize {
        self.lines.iter().filter(|line| !line.test && !line.code.trim().is_empty()).count()
    }

    /// Functions outside tests that have a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            if line.test {
                continue;
            }
            let Some((column, name)) = function_name(&line.code) else {
                continue;
            };
            if let Some(last) = self.end_of_body(index, column) {
                functions.push(Function {
                    name,
                    first_line: index + 1,
                    line_count: last - index + 1,
                });
            }
        }
        functions
    }

    /// The index of the line with the brace that closes the body which starts after `column` of
    /// line `first`; `None` for a declaration without a body.
    fn end_of_body(&self, first: usize, column: usize) -> Option<usize> {
        let mut depth = 0_usize;
        let mut nested = 0_usize;
        for (index, line) in self.lines.iter().enumerate().skip(first) {
            let start = if index == first { column } else { 0 };
            for character in line.code[start..].chars() {
                match character {
                    '(' | '[' => nested += 1,
                    ')' | ']' => nested = nested.saturating_sub(1),
                    ';' if depth == 0 && nested == 0 => return None,
                    '{' => depth += 1,
                    '}' if depth == 1 => return Some(index),
                    '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
        }
        None
    }
}

/// The column after the keyword and the name of the function that a line of code declares.
fn function_name(code: &str) -> Option<(usize, String)> {
    let mut from = 0;
    while let Some(found) = code[from..].find("fn ") {
        let start = from + found;
        let boundary =
            code[..start].chars().next_back().is_none_or(|before| !is_identifier(before));
        let name: String = code[start + 3..].chars().take_while(|c| is_identifier(*c)).collect();
        if boundary && !name.is_empty() {
            return Some((start + 3, name));
        }
        from = start + 3;
    }
    None
}

/// Whether `character` can stand inside an identifier.
pub(crate) fn is_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Marks the items under `#[cfg(test)]` and returns the modules declared there without a body.
fn mark_tests(lines: &mut [Line]) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    let mut index = 0;
    while index < lines.len() {
        let code = lines[index].code.trim_start();
        if !(code.starts_with("#[cfg(test)]") || code.starts_with("#[cfg(all(test")) {
            index += 1;
            continue;
        }
        let last = end_of_item(lines, index);
        for line in &mut lines[index..=last] {
            line.test = true;
        }
        modules.extend(lines[index..=last].iter().filter_map(|line| declared_module(&line.code)));
        index = last + 1;
    }
    modules
}

/// `mod name;` gives `name`.
fn declared_module(code: &str) -> Option<String> {
    let declaration = code.trim().strip_suffix(';')?;
    let name = declaration.split_whitespace().skip_while(|word| *word != "mod").nth(1)?;
    Some(name.to_owned())
}

/// The index of the line where the item with an attribute at `first` ends: at its closing brace,
/// or at a semicolon outside all brackets.
fn end_of_item(lines: &[Line], first: usize) -> usize {
    let mut depth = 0_usize;
    for (index, line) in lines.iter().enumerate().skip(first) {
        for character in line.code.chars() {
            match character {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' => depth = depth.saturating_sub(1),
                '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return index;
                    }
                }
                ';' if depth == 0 => return index,
                _ => {}
            }
        }
    }
    lines.len() - 1
}

#[derive(Clone, Copy)]
enum Mode {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

struct Lexer {
    characters: Vec<char>,
    at: usize,
    mode: Mode,
    lines: Vec<Line>,
}

impl Lexer {
    fn new(text: &str) -> Self {
        Self {
            characters: text.chars().collect(),
            at: 0,
            mode: Mode::Code,
            lines: vec![Line::default()],
        }
    }

    fn run(mut self) -> Vec<Line> {
        while let Some(character) = self.peek(0) {
            if character == '\n' {
                if let Mode::LineComment = self.mode {
                    self.mode = Mode::Code;
                }
                self.lines.push(Line::default());
                self.at += 1;
                continue;
            }
            match self.mode {
                Mode::Code => self.code(character),
                Mode::LineComment => self.comment(character),
                Mode::BlockComment { depth } => self.block_comment(character, depth),
                Mode::Text => self.text(character),
                Mode::RawText { hashes } => self.raw_text(character, hashes),
            }
        }
        if self.lines.last() == Some(&Line::default()) {
            self.lines.pop();
        }
        self.lines
    }

    fn code(&mut self, character: char) {
        match (character, self.peek(1)) {
            ('/', Some('/')) => self.enter(Mode::LineComment, 2),
            ('/', Some('*')) => self.enter(Mode::BlockComment { depth: 1 }, 2),
            ('"', _) => {
                self.keep_code('"');
                self.mode = Mode::Text;
            }
            ('r', _) if self.raw_string_hashes().is_some() => {
                let hashes = self.raw_string_hashes().unwrap_or(0);
                self.line().code.push('"');
                self.enter(Mode::RawText { hashes }, hashes + 2);
            }
            ('\'', _) => self.character_or_lifetime(),
            _ => self.keep_code(character),
        }
    }

    /// The hashes of the raw string that starts here, if one does.
    fn raw_string_hashes(&self) -> Option<usize> {
        let mut before = self.at.checked_sub(1).map(|at| self.characters[at]);
        if matches!(before, Some('b' | 'c')) {
            before = self.at.checked_sub(2).map(|at| self.characters[at]);
        }
        if before.is_some_and(is_identifier) {
            return None;
        }
        let hashes = self.characters[self.at + 1..].iter().take_while(|c| **c == '#').count();
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    /// `'x'` and `'\n'` are literals and dropped; `'a` is a lifetime and kept.
    fn character_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') {
            let rest = &self.characters[self.at + 3..];
            let length = rest.iter().position(|c| *c == '\'').unwrap_or(rest.len());
            self.at += length + 4;
        } else if self.peek(2) == Some('\'') {
            self.at += 3;
        } else {
            self.keep_code('\'');
        }
    }

    fn comment(&mut self, character: char) {
        self.line().comment.push(character);
        self.at += 1;
    }

    fn block_comment(&mut self, character: char, depth: usize) {
        match (character, self.peek(1)) {
            ('*', Some('/')) if depth == 1 => self.enter(Mode::Code, 2),
            ('*', Some('/')) => self.enter(Mode::BlockComment { depth: depth - 1 }, 2),
            ('/', Some('*')) => self.enter(Mode::BlockComment { depth: depth + 1 }, 2),
            _ => self.comment(character),
        }
    }

    fn text(&mut self, character: char) {
        match character {
            '\\' if self.peek(1) == Some('\n') => self.at += 1,
            '\\' => self.at += 2,
            '"' => {
                self.keep_code('"');
                self.mode = Mode::Code;
            }
            _ => {
                self.line().literal.push(character);
                self.at += 1;
            }
        }
    }

    fn raw_text(&mut self, character: char, hashes: usize) {
        let closes = character == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
        if closes {
            self.line().code.push('"');
            self.enter(Mode::Code, 1 + hashes);
        } else {
            self.line().literal.push(character);
            self.at += 1;
        }
    }

    fn keep_code(&mut self, character: char) {
        self.line().code.push(character);
        self.at += 1;
    }

    fn enter(&mut self, mode: Mode, consumed: usize) {
        self.mode = mode;
        self.at += consumed;
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn line(&mut self) -> &mut Line {
        self.lines.last_mut().expect("there is a line from the start on")
    }
}

#[cfg(test)]
mod tests;
