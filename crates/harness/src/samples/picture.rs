//! A picture drawn by code, as a PNG file (stored, not compressed: 28 KB need no library).

/// Width and height, pixels.
pub(super) const SIDE: u32 = 96;

/// A square and a disc before a sky; `number` moves them.
pub(super) fn png(number: u32) -> Vec<u8> {
    let mut rows = Vec::with_capacity((SIDE * (SIDE * 3 + 1)) as usize);
    for y in 0..SIDE {
        rows.push(0);
        for x in 0..SIDE {
            rows.extend_from_slice(&pixel(x, y, number));
        }
    }
    let mut header = Vec::new();
    header.extend_from_slice(&SIDE.to_be_bytes());
    header.extend_from_slice(&SIDE.to_be_bytes());
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

fn pixel(x: u32, y: u32, number: u32) -> [u8; 3] {
    let (left, middle) = (12 * number, 70 - 8 * number);
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

fn crc32(bytes: &[u8]) -> u32 {
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
    fn the_file_is_a_chain_of_chunks_with_right_checksums() {
        let file = png(1);
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
}
