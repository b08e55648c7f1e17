//! A text on its way through the decoders, which keeps where each byte came from: what is found in it is hidden there.

/// Bytes of a text, each with the place that it has there.
pub(super) struct Stream {
    pub(super) bytes: Vec<u8>,
    /// One more than there are bytes: where the text ends.
    pub(super) from: Vec<usize>,
}

impl Stream {
    pub(super) fn of(text: &str) -> Self {
        Self {
            bytes: text.as_bytes().to_vec(),
            from: (0..=text.len()).collect(),
        }
    }

    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            from: Vec::with_capacity(bytes + 1),
        }
    }

    pub(super) fn push(&mut self, byte: u8, from: usize) {
        self.bytes.push(byte);
        self.from.push(from);
    }

    pub(super) fn end(&mut self, end: usize) {
        self.from.push(end);
    }

    pub(super) fn end_of_text(&self) -> usize {
        self.from.last().copied().unwrap_or(0)
    }

    /// With one space in place of each run of white space, or with none.
    pub(super) fn spaced(&self, space: bool) -> Self {
        let mut out = Self::with_capacity(self.bytes.len());
        let mut at = 0;
        while at < self.bytes.len() {
            let white = white_space(&self.bytes[at..]);
            if white == 0 {
                out.push(self.bytes[at], self.from[at]);
                at += 1;
                continue;
            }
            if space {
                out.push(b' ', self.from[at]);
            }
            at += white;
        }
        out.end(self.end_of_text());
        out
    }

    pub(super) fn mapped(&self, byte: impl Fn(u8) -> u8) -> Vec<u8> {
        self.bytes.iter().map(|one| byte(*one)).collect()
    }
}

/// The length of the white space at the beginning.
fn white_space(bytes: &[u8]) -> usize {
    let mut length = 0;
    loop {
        match bytes.get(length..) {
            Some([b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..]) => length += 1,
            // The space that does not break.
            Some([0xc2, 0xa0, ..]) => length += 2,
            _ => return length,
        }
    }
}
