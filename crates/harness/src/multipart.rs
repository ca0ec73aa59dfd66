//! Writes `multipart/form-data` bodies (RFC 7578).

use bytes::Bytes;

/// A form in the making.
pub(crate) struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    /// `boundary` must be text that occurs in no part; random hex is.
    pub(crate) fn new(boundary: &str) -> Self {
        Self { boundary: format!("plimsoll-{boundary}"), body: Vec::new() }
    }

    fn open(&mut self, disposition: &str) {
        self.body.extend_from_slice(format!("--{}\r\nContent-Disposition: form-data; {disposition}\r\n", self.boundary).as_bytes());
    }

    /// Adds a text field.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.open(&format!("name=\"{}\"", quoted(name)));
        self.body.extend_from_slice(format!("\r\n{value}\r\n").as_bytes());
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, name: &str, file_name: &str, mime_type: &str, bytes: &[u8]) {
        self.open(&format!("name=\"{}\"; filename=\"{}\"", quoted(name), quoted(file_name)));
        let mime_type: String = mime_type.chars().filter(|c| !c.is_control()).collect();
        self.body.extend_from_slice(format!("Content-Type: {mime_type}\r\n\r\n").as_bytes());
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
    }

    /// The value of the `Content-Type` header, and the body.
    pub(crate) fn finish(mut self) -> (String, Bytes) {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        (format!("multipart/form-data; boundary={}", self.boundary), Bytes::from(self.body))
    }
}

/// As browsers write quotes and line ends inside a quoted name.
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_byte_by_byte_as_the_standard_says() {
        let mut form = Form::new("b");
        form.text("a", "1\u{e9}");
        form.file("chunk", "x\"y\r\n.txt", "text/plain\r\n", b"\r\n--x");
        let (kind, body) = form.finish();
        assert_eq!(kind, "multipart/form-data; boundary=plimsoll-b");
        let expected = "--plimsoll-b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\u{e9}\r\n\
            --plimsoll-b\r\nContent-Disposition: form-data; name=\"chunk\"; filename=\"x%22y%0D%0A.txt\"\r\n\
            Content-Type: text/plain\r\n\r\n\r\n--x\r\n--plimsoll-b--\r\n";
        assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
    }
}
