//! Sound that has the shape of speech: words of voiced syllables with vowel formants, hissing onsets, pauses. It says nothing.
//!
//! Only additions and multiplications, so that every machine makes the same bytes.

const RATE: u32 = 16_000;

/// First three formants of five vowels, Hz.
const VOWELS: [[f64; 3]; 5] =
    [[730.0, 1090.0, 2440.0], [530.0, 1840.0, 2480.0], [270.0, 2290.0, 3010.0], [570.0, 840.0, 2410.0], [300.0, 870.0, 2240.0]];

/// Syllables per word; the words repeat in this rhythm.
const RHYTHM: [u32; 7] = [2, 1, 3, 1, 2, 4, 2];

/// A mono recording, 16 bit, 16 kHz, of `seconds` length; `voice` changes the pitch and the words.
pub(super) fn wav(voice: u32, seconds: u32) -> Vec<u8> {
    let length = (RATE * seconds) as usize;
    let mut sound = vec![0.0f64; length];
    let mut noise = Noise(0x9e37_79b9 ^ voice);
    let mut at = RATE as usize / 5;
    let mut syllable = voice as usize;
    for (index, count) in RHYTHM.iter().cycle().enumerate() {
        for _ in 0..*count {
            at += speak(&mut sound, at, syllable, voice, &mut noise);
            syllable += 2 + index % 3;
        }
        at += RATE as usize / 7 + if index % 4 == 3 { RATE as usize / 3 } else { 0 };
        if at + RATE as usize / 2 > length {
            break;
        }
    }
    encode(&sound)
}

/// Two people who take turns, in one recording.
pub(super) fn conversation(number: u32, seconds: u32) -> Vec<u8> {
    let turns: Vec<Vec<u8>> = (0..seconds.div_ceil(2)).map(|turn| wav(number + 2 * (turn % 2), 2)).collect();
    let length = (RATE * seconds * 2) as usize;
    let mut bytes: Vec<u8> = turns.iter().flat_map(|turn| turn[44..].iter().copied()).collect();
    bytes.resize(length, 0);
    let mut file = wav(number, seconds)[..44].to_vec();
    file.extend_from_slice(&bytes);
    file
}

/// A short tune on a bright instrument.
pub(super) fn jingle(number: u32, seconds: u32) -> Vec<u8> {
    // Steps of the pentatonic scale, as ratios.
    const SCALE: [f64; 5] = [1.0, 9.0 / 8.0, 5.0 / 4.0, 3.0 / 2.0, 5.0 / 3.0];
    let note = RATE as usize / 4;
    let mut sound = vec![0.0f64; (RATE * seconds) as usize];
    for (i, out) in sound.iter_mut().enumerate() {
        let (which, place) = (i / note, (i % note) as f64 / note as f64);
        let pitch = 440.0 * SCALE[(which * (2 + number as usize) + which / 4) % SCALE.len()];
        let turns = pitch * i as f64 / f64::from(RATE);
        *out = 0.4 * (1.0 - place) * (sine(turns) + 0.5 * sine(2.0 * turns) + 0.25 * sine(3.0 * turns));
    }
    encode(&sound)
}

/// Adds one syllable at `at` and returns its length in samples.
fn speak(sound: &mut [f64], at: usize, syllable: usize, voice: u32, noise: &mut Noise) -> usize {
    let formants = VOWELS[syllable % VOWELS.len()];
    let onset = RATE as usize / 32;
    let vowel = RATE as usize * (13 + syllable % 4 * 3) / 100;
    for (i, out) in sound.iter_mut().skip(at).take(onset).enumerate() {
        let swell = i as f64 / onset as f64;
        *out += 0.08 * noise.next() * swell;
    }
    let pitch = 95.0 + 25.0 * f64::from(voice % 4) + 6.0 * (syllable % 5) as f64;
    let harmonics: Vec<(f64, f64)> = (1..=(3600.0 / pitch) as u32)
        .map(|k| (f64::from(k), formants.iter().enumerate().map(|(n, f)| resonance(f64::from(k) * pitch, *f) / (n + 1) as f64).sum()))
        .collect();
    let mut turns = 0.0;
    for (i, out) in sound.iter_mut().skip(at + onset).take(vowel).enumerate() {
        let place = i as f64 / vowel as f64;
        turns += pitch * (1.08 - 0.16 * place) / f64::from(RATE);
        let envelope = (4.0 * place * (1.0 - place)).min(0.9);
        *out += 0.22 * envelope * harmonics.iter().map(|(k, level)| level * sine(k * turns)).sum::<f64>();
    }
    onset + vowel
}

/// How much a formant lets through of a frequency.
fn resonance(frequency: f64, formant: f64) -> f64 {
    let distance = (frequency - formant) / 90.0;
    1.0 / (1.0 + distance * distance)
}

/// The sine of whole turns, by an old rational approximation: good to a thousandth.
fn sine(turns: f64) -> f64 {
    let part = turns - turns.floor();
    let (half, sign) = if part < 0.5 { (part * 2.0, 1.0) } else { (part * 2.0 - 1.0, -1.0) };
    let bow = half * (1.0 - half);
    sign * 16.0 * bow / (5.0 - 4.0 * bow)
}

/// A linear congruential generator; it only has to hiss.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1u32 << 23) - 1.0
    }
}

/// A RIFF file of 16-bit samples.
fn encode(sound: &[f64]) -> Vec<u8> {
    let size = sound.len() as u32 * 2;
    let mut file = Vec::with_capacity(sound.len() * 2 + 44);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + size).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16u32.to_le_bytes());
    for word in [1u16, 1] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for word in [RATE, RATE * 2] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for word in [2u16, 16] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(b"data");
    file.extend_from_slice(&size.to_le_bytes());
    for sample in sound {
        file.extend_from_slice(&((sample.clamp(-1.0, 1.0) * 32_000.0) as i16).to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(file: &[u8]) -> Vec<i16> {
        file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn the_header_says_what_follows() {
        let file = wav(1, 6);
        assert_eq!(file.len(), 44 + 6 * 32_000);
        assert_eq!((&file[..4], &file[8..16], &file[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
        assert_eq!(u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize, file.len() - 8);
        assert_eq!(u32::from_le_bytes(file[40..44].try_into().unwrap()) as usize, file.len() - 44);
    }

    #[test]
    fn there_are_bursts_and_pauses_and_nothing_is_clipped() {
        let samples = samples(&wav(2, 6));
        let loudness: Vec<f64> = samples
            .chunks(320)
            .map(|frame| (frame.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / frame.len() as f64).sqrt())
            .collect();
        let loud = loudness.iter().filter(|&&level| level > 1_000.0).count();
        let quiet = loudness.iter().filter(|&&level| level < 50.0).count();
        assert!(loud > 80 && quiet > 60, "{loud} loud and {quiet} quiet frames of {}", loudness.len());
        assert!(samples.iter().all(|sample| sample.unsigned_abs() < 32_000));
        let changes = loudness.windows(2).filter(|pair| (pair[0] > 500.0) != (pair[1] > 500.0)).count();
        assert!(changes >= 16, "{changes} edges between sound and silence");
    }

    #[test]
    fn the_sine_is_close_to_the_real_one() {
        for step in 0..1000 {
            let turns = f64::from(step) / 250.0;
            assert!((sine(turns) - (turns * std::f64::consts::TAU).sin()).abs() < 0.002, "{turns}");
        }
    }
}
