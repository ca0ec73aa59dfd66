//! Better, the same, or worse: only what noise does not explain counts as a change.

use model::report::{Benchmark, Change, Compared, Comparison};

use super::{percentile, rounded};

/// Another build and what was measured of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// `previous` or `deployed`.
    pub with: String,
    /// Its number.
    pub version: i64,
    /// Its figures.
    pub benchmark: Benchmark,
}

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Less,
    More,
}

impl Baseline {
    /// Line by line, this build beside the other.
    pub(super) fn compare(&self, now: &Benchmark) -> Comparison {
        let then = &self.benchmark;
        let noise = spread(&then.micros).max(spread(&now.micros));
        // What is measured once has no noise of its own: a fifth, and a floor that schedulers and caches explain.
        let mut metrics = vec![
            compared("p50Ms", then.p50_ms, now.p50_ms, Better::Less, (0.1, noise.max(0.5))),
            compared("p95Ms", then.p95_ms, now.p95_ms, Better::Less, (0.2, (2.0 * noise).max(1.0))),
            compared(
                "callsPerSecond",
                then.calls_per_second,
                now.calls_per_second,
                Better::More,
                (relative(noise, then.p50_ms).max(0.1), 0.0),
            ),
            compared("cpuSeconds", then.cpu_seconds, now.cpu_seconds, Better::Less, (0.2, 0.05)),
            compared("peakMemoryBytes", then.peak_memory_bytes as f64, now.peak_memory_bytes as f64, Better::Less, (0.2, 4e6)),
            compared("resultBytes", then.result_bytes as f64, now.result_bytes as f64, Better::Less, (0.2, 64.0)),
        ];
        if let (Some(then), Some(now)) = (then.ready_ms, now.ready_ms) {
            metrics.insert(0, compared("readyMs", then as f64, now as f64, Better::Less, (0.2, 50.0)));
        }
        for accuracy in &now.accuracy {
            if let Some(before) = then.accuracy.iter().find(|before| before.metric == accuracy.metric) {
                let better = if accuracy.metric == "wordErrorRate" { Better::Less } else { Better::More };
                metrics.push(compared(&accuracy.metric, before.value, accuracy.value, better, (0.0, 0.005)));
            }
        }
        Comparison { with: self.with.clone(), version: self.version, metrics }
    }
}

/// `noise` is relative and absolute; whichever allows more counts.
fn compared(metric: &str, before: f64, now: f64, better: Better, noise: (f64, f64)) -> Compared {
    let allowed = (before.abs() * noise.0).max(noise.1);
    let change = match now - before {
        difference if difference.abs() <= allowed => Change::Same,
        difference if (difference < 0.0) == (better == Better::Less) => Change::Better,
        _ => Change::Worse,
    };
    Compared { metric: metric.to_owned(), before: rounded(before), now: rounded(now), change }
}

/// Half of the distance between the quarters, times three: beyond that a median of repeated calls does not wander. Milliseconds.
fn spread(sorted: &[u64]) -> f64 {
    if sorted.is_empty() { 0.0 } else { (percentile(sorted, 75) - percentile(sorted, 25)) * 1.5 }
}

fn relative(noise: f64, of: f64) -> f64 {
    if of > 0.0 { noise / of } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: &[u64]) -> Benchmark {
        let total: u64 = micros.iter().sum();
        Benchmark {
            micros: micros.to_vec(),
            p50_ms: percentile(micros, 50),
            p95_ms: percentile(micros, 95),
            max_ms: percentile(micros, 100),
            calls_per_second: micros.len() as f64 * 1e6 / total as f64,
            ready_ms: Some(100),
            peak_memory_bytes: 40_000_000,
            ..Benchmark::default()
        }
    }

    fn change(before: &Benchmark, now: &Benchmark, metric: &str) -> Change {
        let baseline = Baseline { with: "previous".into(), version: 3, benchmark: before.clone() };
        let comparison = baseline.compare(now);
        comparison.metrics.iter().find(|line| line.metric == metric).unwrap().change
    }

    #[test]
    fn what_noise_explains_is_the_same() {
        let quiet = of(&[10_000, 10_050, 10_100, 10_150, 10_200]);
        assert_eq!(change(&quiet, &of(&[10_300, 10_350, 10_400, 10_450, 10_500]), "p50Ms"), Change::Same);
        assert_eq!(change(&quiet, &of(&[20_000, 20_050, 20_100, 20_150, 20_200]), "p50Ms"), Change::Worse);
        assert_eq!(change(&quiet, &of(&[5_000, 5_050, 5_100, 5_150, 5_200]), "p50Ms"), Change::Better);
        assert_eq!(change(&quiet, &of(&[5_000, 5_050, 5_100, 5_150, 5_200]), "callsPerSecond"), Change::Better);
        // The same change among calls that wander that far by themselves says nothing.
        let restless = of(&[5_000, 8_000, 15_000, 22_000, 30_000]);
        assert_eq!(change(&restless, &of(&[6_000, 11_000, 20_000, 24_000, 31_000]), "p50Ms"), Change::Same);
    }

    #[test]
    fn figures_that_are_measured_once_need_a_fifth() {
        let before = of(&[1_000]);
        let with = |ready: u64, memory: u64| Benchmark { ready_ms: Some(ready), peak_memory_bytes: memory, ..before.clone() };
        assert_eq!(change(&before, &with(140, 40_000_000), "readyMs"), Change::Same);
        assert_eq!(change(&before, &with(400, 40_000_000), "readyMs"), Change::Worse);
        assert_eq!(change(&before, &with(100, 60_000_000), "peakMemoryBytes"), Change::Worse);
        assert_eq!(change(&before, &with(100, 43_000_000), "peakMemoryBytes"), Change::Same);
    }

    #[test]
    fn a_word_error_rate_is_better_when_it_falls() {
        let with = |metric: &str, value: f64| Benchmark {
            accuracy: vec![model::report::Accuracy { metric: metric.into(), value }],
            ..of(&[1_000])
        };
        assert_eq!(change(&with("wordErrorRate", 0.2), &with("wordErrorRate", 0.1), "wordErrorRate"), Change::Better);
        assert_eq!(change(&with("recall", 0.2), &with("recall", 0.1), "recall"), Change::Worse);
    }
}
