//! A text as a document: PDF, and the word processor's zipped XML.

use super::picture::crc32;

/// Characters of a line.
const LINE: usize = 80;

fn lines(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| line.len() + word.len() >= LINE) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

/// One page.
pub(super) fn pdf(text: &str) -> Vec<u8> {
    let escaped = |line: &String| line.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
    let shown: String = lines(text).iter().map(|line| format!("({}) Tj T*\n", escaped(line))).collect();
    let content = format!("BT\n/F1 11 Tf\n14 TL\n50 780 Td\n{shown}ET\n");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}endstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut places = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", index + 1));
    }
    let table = file.len();
    file.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    places.iter().for_each(|place| file.push_str(&format!("{place:010} 00000 n \n")));
    file.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1));
    file.into_bytes()
}

/// One paragraph per sentence.
pub(super) fn docx(text: &str) -> Vec<u8> {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
    let kinds = "http://schemas.openxmlformats.org";
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let paragraphs: String =
        text.split_inclusive(". ").map(|sentence| format!("<w:p><w:r><w:t>{}</w:t></w:r></w:p>", escaped(sentence.trim()))).collect();
    let application = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
    let files = [
        (
            "[Content_Types].xml",
            format!(
                "{head}<Types xmlns=\"{kinds}/package/2006/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Override PartName=\"/word/document.xml\" ContentType=\"{application}\"/></Types>"
            ),
        ),
        (
            "_rels/.rels",
            format!(
                "{head}<Relationships xmlns=\"{kinds}/package/2006/relationships\"><Relationship Id=\"r1\" Type=\"{kinds}/officeDocument/2006/relationships/officeDocument\" Target=\"word/document.xml\"/></Relationships>"
            ),
        ),
        (
            "word/document.xml",
            format!("{head}<w:document xmlns:w=\"{kinds}/wordprocessingml/2006/main\"><w:body>{paragraphs}</w:body></w:document>"),
        ),
    ];
    zip(&files.map(|(name, text)| (name, text.into_bytes())))
}

/// A ZIP file whose members are stored.
fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let place = file.len() as u32;
        let mut common = Vec::new();
        // Version, flags, method (stored), time and date of the first day there is.
        for word in [20u16, 0, 0, 0, 0x21] {
            common.extend_from_slice(&word.to_le_bytes());
        }
        for number in [crc32(bytes), bytes.len() as u32, bytes.len() as u32] {
            common.extend_from_slice(&number.to_le_bytes());
        }
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        common.extend_from_slice(&0u16.to_le_bytes());
        file.extend_from_slice(b"PK\x03\x04");
        file.extend_from_slice(&common);
        file.extend_from_slice(name.as_bytes());
        file.extend_from_slice(bytes);
        directory.extend_from_slice(b"PK\x01\x02\x14\0");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&place.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let (place, count) = (file.len() as u32, files.len() as u16);
    file.extend_from_slice(&directory);
    file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    [count, count].iter().for_each(|word| file.extend_from_slice(&word.to_le_bytes()));
    [directory.len() as u32, place].iter().for_each(|number| file.extend_from_slice(&number.to_le_bytes()));
    file.extend_from_slice(&[0, 0]);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_of_the_pdf_is_where_its_table_says() {
        let file = String::from_utf8(pdf("A harbour (of sorts). Another sentence.")).unwrap();
        let table = file.rsplit("startxref\n").next().unwrap().lines().next().unwrap().parse::<usize>().unwrap();
        for (index, line) in file[table..].lines().skip(3).take(5).enumerate() {
            let place: usize = line[..10].parse().unwrap();
            assert!(file[place..].starts_with(&format!("{} 0 obj", index + 1)), "{line}");
        }
        assert!(file.contains("(A harbour \\(of sorts\\). Another sentence.) Tj"));
    }

    #[test]
    fn the_document_lists_its_three_members() {
        let file = docx("One & two. Three.");
        let text = String::from_utf8_lossy(&file).into_owned();
        assert_eq!((text.matches("PK\u{3}\u{4}").count(), text.matches("PK\u{1}\u{2}").count()), (3, 3));
        assert!(text.contains("<w:t>One &amp; two.</w:t>") && text.contains("<w:t>Three.</w:t>"));
    }
}
