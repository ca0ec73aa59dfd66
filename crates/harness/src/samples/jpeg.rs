//! A picture as a JPEG file: baseline, three components, not subsampled (ITU T.81). One flat quantization table and codes of fixed length: what a file
//! is made with is written in the file, and nobody asks that it be small.

use super::picture::Picture;

/// Every coefficient is divided by this.
const STEP: u8 = 8;

/// `cos(k π / 16)`, written out so that every machine makes the same bytes.
const COSINES: [f64; 9] = [
    1.0,
    0.980_785_280_403_230_4,
    0.923_879_532_511_286_7,
    0.831_469_612_302_545_2,
    std::f64::consts::FRAC_1_SQRT_2,
    0.555_570_233_019_602_2,
    0.382_683_432_365_089_8,
    0.195_090_322_016_128_3,
    0.0,
];

/// Places of the coefficients in the order in which they are written.
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56,
    57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Bits of a code for a difference of first coefficients, and of one for any other.
const DC_BITS: u32 = 4;
const AC_BITS: u32 = 8;

/// Run of zeros and size of the value behind it: every pair there is, and the two that stand for zeros alone.
fn symbols() -> Vec<u8> {
    let pairs = (0..16u8).flat_map(|run| (1..=10u8).map(move |size| run << 4 | size));
    [0x00, 0xf0].into_iter().chain(pairs).collect()
}

/// The picture as a file.
pub(super) fn jpeg(picture: &Picture) -> Vec<u8> {
    let symbols = symbols();
    let mut file = vec![0xff, 0xd8];
    segment(&mut file, 0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    let mut table = vec![0];
    table.extend_from_slice(&[STEP; 64]);
    segment(&mut file, 0xdb, &table);
    let (height, width) = ((picture.height as u16).to_be_bytes(), (picture.width as u16).to_be_bytes());
    let mut frame = vec![8, height[0], height[1], width[0], width[1], 3];
    (1..=3).for_each(|component| frame.extend_from_slice(&[component, 0x11, 0]));
    segment(&mut file, 0xc0, &frame);
    for (class, bits, values) in [(0x00u8, DC_BITS, (0..12u8).collect::<Vec<_>>()), (0x10, AC_BITS, symbols.clone())] {
        let mut codes = vec![class];
        codes.extend((1..=16).map(|length| if length == bits { values.len() as u8 } else { 0 }));
        codes.extend_from_slice(&values);
        segment(&mut file, 0xc4, &codes);
    }
    segment(&mut file, 0xda, &[3, 1, 0x00, 2, 0x00, 3, 0x00, 0, 63, 0]);
    let mut bits = Bits::default();
    let mut before = [0i32; 3];
    for top in (0..picture.height).step_by(8) {
        for left in (0..picture.width).step_by(8) {
            for (component, before) in before.iter_mut().enumerate() {
                *before = write_block(&mut bits, &block(picture, left, top, component), *before, &symbols);
            }
        }
    }
    file.extend(bits.finish());
    file.extend_from_slice(&[0xff, 0xd9]);
    file
}

fn segment(file: &mut Vec<u8>, marker: u8, content: &[u8]) {
    file.extend_from_slice(&[0xff, marker]);
    file.extend_from_slice(&(content.len() as u16 + 2).to_be_bytes());
    file.extend_from_slice(content);
}

/// Luminance or one of the two colours of a pixel, around zero. Beyond its edge the picture goes on as it ends.
fn level(picture: &Picture, x: u32, y: u32, component: usize) -> f64 {
    let at = y.min(picture.height - 1) * picture.width + x.min(picture.width - 1);
    let [r, g, b] = picture.pixels.get(at as usize).copied().unwrap_or_default().map(f64::from);
    match component {
        0 => 0.299 * r + 0.587 * g + 0.114 * b - 128.0,
        1 => -0.168_736 * r - 0.331_264 * g + 0.5 * b,
        _ => 0.5 * r - 0.418_688 * g - 0.081_312 * b,
    }
}

/// `cos((2 x + 1) u π / 16)`.
fn cosine(x: usize, u: usize) -> f64 {
    let turn = (2 * x + 1) * u % 32;
    let turn = if turn > 16 { 32 - turn } else { turn };
    if turn <= 8 { COSINES[turn] } else { -COSINES[16 - turn] }
}

/// The quantized coefficients of a block, in the order in which they are written.
fn block(picture: &Picture, left: u32, top: u32, component: usize) -> [i32; 64] {
    let mut levels = [[0.0; 8]; 8];
    for (y, row) in levels.iter_mut().enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            *value = level(picture, left + x as u32, top + y as u32, component);
        }
    }
    let weight = |k: usize| if k == 0 { COSINES[4] } else { 1.0 };
    let mut coefficients = [0; 64];
    for (place, out) in ZIGZAG.iter().zip(&mut coefficients) {
        let (v, u) = (place / 8, place % 8);
        let mut sum = 0.0;
        for (y, row) in levels.iter().enumerate() {
            for (x, value) in row.iter().enumerate() {
                sum += value * cosine(x, u) * cosine(y, v);
            }
        }
        *out = (sum * weight(u) * weight(v) / 4.0 / f64::from(STEP)).round() as i32;
    }
    coefficients
}

/// Writes a block and gives its first coefficient.
fn write_block(bits: &mut Bits, block: &[i32; 64], before: i32, symbols: &[u8]) -> i32 {
    let code = |symbol: u8| symbols.iter().position(|known| *known == symbol).unwrap_or_default() as u32;
    let difference = block[0] - before;
    bits.push(size(difference), DC_BITS);
    bits.value(difference);
    let mut zeros = 0u8;
    let last = block.iter().rposition(|value| *value != 0).unwrap_or(0);
    for value in &block[1..=last] {
        if *value == 0 {
            zeros += 1;
            continue;
        }
        while zeros > 15 {
            bits.push(code(0xf0), AC_BITS);
            zeros -= 16;
        }
        bits.push(code(zeros << 4 | size(*value) as u8), AC_BITS);
        bits.value(*value);
        zeros = 0;
    }
    if last < 63 {
        bits.push(code(0x00), AC_BITS);
    }
    block[0]
}

/// Bits a value takes.
fn size(value: i32) -> u32 {
    32 - value.unsigned_abs().leading_zeros()
}

/// Bits on their way into bytes.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        for place in (0..count).rev() {
            self.waiting = self.waiting << 1 | (value >> place & 1);
            self.count += 1;
            if self.count == 8 {
                self.byte();
            }
        }
    }

    fn byte(&mut self) {
        self.bytes.push(self.waiting as u8);
        if self.waiting as u8 == 0xff {
            self.bytes.push(0);
        }
        (self.waiting, self.count) = (0, 0);
    }

    /// The bits of a value behind its code: a negative one as that of its distance from the least of its size.
    fn value(&mut self, value: i32) {
        let size = size(value);
        let bits = if value < 0 { (value + (1 << size) - 1) as u32 } else { value as u32 };
        self.push(bits, size);
    }

    /// Fills the last byte with ones.
    fn finish(mut self) -> Vec<u8> {
        while self.count > 0 {
            self.push(1, 1);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        let symbols = symbols();
        assert_eq!((symbols.len(), symbols.iter().collect::<std::collections::BTreeSet<_>>().len()), (162, 162));
        assert_eq!(ZIGZAG.iter().collect::<std::collections::BTreeSet<_>>().len(), 64);
    }

    #[test]
    fn cosines_are_those_of_the_transform() {
        for x in 0..8 {
            for u in 0..8 {
                let right = ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos();
                assert!((cosine(x, u) - right).abs() < 1e-12, "{x} {u}");
            }
        }
    }

    #[test]
    fn a_flat_picture_has_one_coefficient() {
        let grey = Picture { width: 8, height: 8, pixels: vec![[200; 3]; 64] };
        let coefficients = block(&grey, 0, 0, 0);
        assert_eq!((coefficients[0], coefficients[1..].iter().all(|value| *value == 0)), (72, true));
    }

    #[test]
    fn no_byte_of_the_data_looks_like_a_marker() {
        let file = jpeg(&Picture::scene(1));
        let start = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap() + 2 + 12;
        let data = &file[start..file.len() - 2];
        assert!(data.windows(2).all(|pair| pair[0] != 0xff || pair[1] == 0));
        assert_eq!(&file[file.len() - 2..], &[0xff, 0xd9]);
        assert!(file.len() < 20_000, "{}", file.len());
    }
}
