//! Pictures drawn by code, and the files they are written to. Nothing is compressed that need not be: no library is needed.

/// A picture.
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Row by row.
    pub(super) pixels: Vec<[u8; 3]>,
}

/// Width and height of a scene, pixels.
const SIDE: u32 = 96;
/// Pixels to a dot of a letter.
const DOT: u32 = 5;

/// Letters of five by seven dots.
const LETTERS: [(char, [u8; 7]); 9] = [
    ('A', [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001]),
    ('B', [0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110]),
    ('H', [0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001]),
    ('M', [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001]),
    ('O', [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110]),
    ('R', [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001]),
    ('S', [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110]),
    ('T', [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100]),
    ('U', [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110]),
];

impl Picture {
    fn draw(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Self {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
        Self { width, height, pixels }
    }

    /// A square and a disc before a sky; `number` moves them.
    pub(super) fn scene(number: u32) -> Self {
        Self::draw(SIDE, SIDE, |x, y| scene(x, y, number))
    }

    /// A word, black on white.
    pub(super) fn word(word: &str) -> Self {
        let letters: Vec<[u8; 7]> =
            word.chars().filter_map(|wanted| LETTERS.iter().find(|(letter, _)| *letter == wanted).map(|(_, rows)| *rows)).collect();
        let (width, height) = ((letters.len() as u32 * 6 + 3) * DOT, 11 * DOT);
        let dark = |x: u32, y: u32| {
            let (column, row) = ((x / DOT).checked_sub(2)?, (y / DOT).checked_sub(2)?);
            let rows = letters.get((column / 6) as usize)?;
            let bits = rows.get(row as usize)?;
            (column % 6 < 5 && bits >> (4 - column % 6) & 1 == 1).then_some([20, 20, 20])
        };
        Self::draw(width, height, |x, y| dark(x, y).unwrap_or([250, 250, 250]))
    }

    /// As a PNG file (stored).
    pub(super) fn png(&self) -> Vec<u8> {
        let mut rows = Vec::with_capacity(self.pixels.len() * 3 + self.height as usize);
        for row in self.pixels.chunks(self.width as usize) {
            rows.push(0);
            rows.extend(row.iter().flatten());
        }
        let mut header = Vec::new();
        header.extend_from_slice(&self.width.to_be_bytes());
        header.extend_from_slice(&self.height.to_be_bytes());
        header.extend_from_slice(&[8, 2, 0, 0, 0]);
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in [(b"IHDR", header), (b"IDAT", stored(&rows)), (b"IEND", Vec::new())] {
            let from = file.len() + 4;
            file.extend_from_slice(&(data.len() as u32).to_be_bytes());
            file.extend_from_slice(kind);
            file.extend_from_slice(&data);
            let check = crc32(&file[from..]);
            file.extend_from_slice(&check.to_be_bytes());
        }
        file
    }

    /// As a TIFF file (little endian, one strip, not compressed).
    pub(super) fn tiff(&self) -> Vec<u8> {
        const SHORT: u16 = 3;
        const LONG: u16 = 4;
        let size = self.pixels.len() as u32 * 3;
        let fields: [(u16, u16, u32, u32); 10] = [
            (256, LONG, 1, self.width),
            (257, LONG, 1, self.height),
            // Three samples of 8 bits: the values lie behind the table.
            (258, SHORT, 3, 8 + 2 + 10 * 12 + 4),
            (259, SHORT, 1, 1),
            (262, SHORT, 1, 2),
            (273, LONG, 1, 8 + 2 + 10 * 12 + 4 + 6),
            (277, SHORT, 1, 3),
            (278, LONG, 1, self.height),
            (279, LONG, 1, size),
            (284, SHORT, 1, 1),
        ];
        let mut file = b"II*\0\x08\0\0\0".to_vec();
        file.extend_from_slice(&(fields.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in fields {
            file.extend_from_slice(&tag.to_le_bytes());
            file.extend_from_slice(&kind.to_le_bytes());
            file.extend_from_slice(&count.to_le_bytes());
            file.extend_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(&[0; 4]);
        [8u16; 3].iter().for_each(|bits| file.extend_from_slice(&bits.to_le_bytes()));
        file.extend(self.pixels.iter().flatten());
        file
    }
}

fn scene(x: u32, y: u32, number: u32) -> [u8; 3] {
    // After six steps they are back.
    let step = number % 6;
    let (left, middle) = (12 * step, 70 - 8 * step);
    let (dx, dy) = (x.abs_diff(middle), y.abs_diff(34));
    if (left..left + 30).contains(&x) && (48..78).contains(&y) {
        [178, 58, 46]
    } else if dx * dx + dy * dy < 14 * 14 {
        [244, 208, 63]
    } else {
        [(90 + y) as u8, (140 + y / 2) as u8, 220]
    }
}

/// Bytes as a zlib stream of stored blocks (RFC 1950, RFC 1951 §3.2.4).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let blocks = bytes.chunks(0xffff);
    let last = blocks.len().saturating_sub(1);
    for (index, block) in blocks.enumerate() {
        let length = block.len() as u16;
        stream.push(u8::from(index == last));
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(block);
    }
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in bytes {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    stream.extend_from_slice(&(b << 16 | a).to_be_bytes());
    stream
}

/// The checksum of PNG and ZIP.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(stored(b"Wikipedia")[16..], 0x11e6_0398_u32.to_be_bytes());
    }

    #[test]
    fn a_png_is_a_chain_of_chunks_with_right_checksums() {
        let file = Picture::scene(1).png();
        let mut names = Vec::new();
        let mut rest = &file[8..];
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            names.push(String::from_utf8(rest[4..8].to_vec()).unwrap());
            assert_eq!(rest[8 + length..12 + length], crc32(&rest[4..8 + length]).to_be_bytes());
            rest = &rest[12 + length..];
        }
        assert_eq!(names, ["IHDR", "IDAT", "IEND"]);
    }

    #[test]
    fn a_tiff_ends_with_its_pixels() {
        let picture = Picture::scene(2);
        let file = picture.tiff();
        assert_eq!(file.len(), 140 + picture.pixels.len() * 3);
        assert_eq!(&file[134..140], &[8, 0, 8, 0, 8, 0]);
        assert_eq!(file[140..143], picture.pixels[0]);
    }

    #[test]
    fn a_word_is_dark_on_light_with_every_letter() {
        let picture = Picture::word("HARBOUR");
        assert_eq!((picture.width, picture.height, picture.pixels.len()), (225, 55, 225 * 55));
        let row = |y: u32| picture.pixels[(y * picture.width) as usize..][..picture.width as usize].to_vec();
        // The middle of the H is its bar; above and below it there is paper between its posts.
        assert_eq!(row(5 * DOT + 1)[(2 * DOT) as usize..(7 * DOT) as usize], vec![[20; 3]; 5 * DOT as usize]);
        assert_eq!(row(3 * DOT)[(4 * DOT) as usize], [250; 3]);
        assert!(row(0).iter().all(|pixel| *pixel == [250; 3]));
    }
}
