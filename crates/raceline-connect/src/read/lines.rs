//! Cuts bytes into lines, also when they begin and end in the middle of one.
//!
//! A line ends with `\n`, `\r` or `\r\n`, which do not belong to it; what follows the last line
//! end is a line when it is not empty. (Python's `str.splitlines` also cuts at form feeds and at
//! some Unicode characters; this does not.)

use std::ops::Range;

/// A line that is longer than a cutter holds, by its number from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) line: u64,
}

/// Cuts the bytes of a file, or of a range of it, into lines.
///
/// A range has the lines that start inside it: neighbouring ranges have every line once.
#[derive(Debug)]
pub(super) struct LineCutter {
    /// Offset in the file of the next byte.
    position: u64,
    /// Lines that start here or later belong to the next range.
    end: u64,
    at: At,
    /// The last byte was `\r`: a `\n` belongs to it.
    after_return: bool,
    /// The start of a line whose end has not been seen.
    partial: Vec<u8>,
    line: u64,
    line_bytes_max: usize,
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// A line of the range before.
    Skipped,
    /// A line that has not begun.
    Start,
    /// A line that has.
    Line,
    /// The next range.
    End,
}

impl LineCutter {
    /// A cutter for a whole file, or for `range` of one. The bytes of a range are to be given
    /// from one before its start (unless that is 0) until [`LineCutter::is_done`] or the end of
    /// the file.
    pub(super) fn new(range: Option<&Range<u64>>, line_bytes_max: usize) -> Self {
        let (start, end) = range.map_or((0, u64::MAX), |range| (range.start, range.end));
        Self {
            position: start.saturating_sub(1),
            end,
            at: if start > 0 { At::Skipped } else { At::Start },
            after_return: false,
            partial: Vec::new(),
            line: 0,
            line_bytes_max,
        }
    }

    /// Whether all lines of the range have been seen.
    pub(super) fn is_done(&self) -> bool {
        self.at == At::End
    }

    /// Takes the next bytes and hands each line that they end to `take`, with its number from 1.
    pub(super) fn push<E: From<TooLong>>(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8], u64) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() && !self.is_done() {
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = self.advance(bytes, 1);
                continue;
            }
            if self.at == At::Start {
                if self.position >= self.end {
                    self.at = At::End;
                    break;
                }
                self.at = At::Line;
                self.line += 1;
            }
            let in_line = self.at == At::Line;
            let found = bytes.iter().position(|&byte| byte == b'\n' || byte == b'\r');
            let length = found.unwrap_or(bytes.len());
            if in_line && self.partial.len() + length > self.line_bytes_max {
                return Err(TooLong { line: self.line }.into());
            }
            let Some(length) = found else {
                if in_line {
                    self.partial.extend_from_slice(bytes);
                }
                bytes = self.advance(bytes, bytes.len());
                continue;
            };
            if in_line {
                if self.partial.is_empty() {
                    take(&bytes[..length], self.line)?;
                } else {
                    self.partial.extend_from_slice(&bytes[..length]);
                    take(&self.partial, self.line)?;
                    self.partial.clear();
                }
            }
            self.at = At::Start;
            self.after_return = bytes[length] == b'\r';
            bytes = self.advance(bytes, length + 1);
        }
        Ok(())
    }

    /// Ends the file: hands on a last line without an end.
    pub(super) fn finish<E>(
        &mut self,
        mut take: impl FnMut(&[u8], u64) -> Result<(), E>,
    ) -> Result<(), E> {
        match std::mem::replace(&mut self.at, At::End) {
            At::Line => take(&self.partial, self.line),
            At::Skipped | At::Start | At::End => Ok(()),
        }
    }

    fn advance<'a>(&mut self, bytes: &'a [u8], count: usize) -> &'a [u8] {
        self.position += count as u64;
        &bytes[count..]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &[u8], range: Option<Range<u64>>, piece: usize) -> Vec<Vec<u8>> {
        let mut cutter = LineCutter::new(range.as_ref(), 1 << 20);
        let mut found = Vec::new();
        let mut take = |line: &[u8], _| {
            found.push(line.to_vec());
            Ok::<_, TooLong>(())
        };
        let start = range.map_or(0, |range| range.start.saturating_sub(1));
        for bytes in text[usize::try_from(start).unwrap()..].chunks(piece) {
            cutter.push(bytes, &mut take).unwrap();
        }
        cutter.finish(&mut take).unwrap();
        found
    }

    #[test]
    fn all_line_ends_are_ends() {
        let found = lines(b"a\r\n\nb\rc\n\r", None, 3);
        let expected: [&[u8]; 5] = [b"a", b"", b"b", b"c", b""];
        assert_eq!(found, expected);
        assert!(lines(b"", None, 1).is_empty());
    }

    #[test]
    fn long_lines_are_refused_by_number() {
        let mut cutter = LineCutter::new(None, 3);
        let outcome = cutter.push(b"abc\nabcd", |_, _| Ok::<_, TooLong>(()));
        assert_eq!(outcome, Err(TooLong { line: 2 }));
    }

    proptest! {
        #[test]
        fn ranges_have_every_line_once(
            text in prop::collection::vec(prop::sample::select(b"ab\n\r".to_vec()), 0..60),
            mut cuts in prop::collection::vec(0..60_u64, 0..5),
            piece in 1..7_usize,
        ) {
            let size = text.len() as u64;
            cuts.retain(|cut| *cut < size);
            cuts.extend([0, size]);
            cuts.sort_unstable();
            cuts.dedup();
            let mut together = Vec::new();
            for pair in cuts.windows(2) {
                together.extend(lines(&text, Some(pair[0]..pair[1]), piece));
            }
            prop_assert_eq!(&together, &lines(&text, None, text.len().max(1)));
            // What the ends are does not matter to the reference: all become one newline.
            let plain = String::from_utf8(text).unwrap().replace("\r\n", "\n").replace('\r', "\n");
            let expected: Vec<_> = plain.lines().map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(together, expected);
        }
    }
}
