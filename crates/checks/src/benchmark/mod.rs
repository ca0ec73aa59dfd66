//! Figures of repeated calls, how right the result is, and how both compare with other builds. Never a verdict: they inform.

mod compare;
mod truth;

use model::{
    report::Benchmark,
    run::{EngineRun, Ready},
};

pub use compare::Baseline;
pub use truth::{Truth, TruthError};

use crate::evidence::Evidence;

/// The benchmark of a run; `None` if nothing was called twice.
pub(crate) fn of(run: &EngineRun, evidence: &Evidence, baselines: &[Baseline]) -> Option<Benchmark> {
    let good = run.repeats.iter().filter(|repeat| repeat.status == Some(200));
    let mut micros: Vec<u64> = good.clone().map(|repeat| repeat.micros).collect();
    micros.sort_unstable();
    let first = good.clone().next()?;
    let result = run.outputs.iter().find(|output| output.sample == first.sample);
    let accuracy = evidence.terms.truth.as_ref().zip(result).map(|(truth, result)| truth.accuracy(&result.body)).unwrap_or_default();
    let total: u64 = micros.iter().sum();
    let mut benchmark = Benchmark {
        sample: first.sample.clone(),
        p50_ms: percentile(&micros, 50),
        p95_ms: percentile(&micros, 95),
        max_ms: percentile(&micros, 100),
        calls_per_second: if total == 0 { 0.0 } else { rounded(micros.len() as f64 * 1e6 / total as f64) },
        micros,
        ready_ms: if let Some(Ready::Ready { after_ms, .. }) = run.ready { Some(after_ms) } else { None },
        cpu_seconds: run.record.cpu_ms as f64 / 1e3,
        peak_memory_bytes: run.record.peak_memory_bytes,
        result_bytes: first.result_bytes,
        accuracy,
        compared: Vec::new(),
    };
    benchmark.compared = baselines.iter().map(|baseline| baseline.compare(&benchmark)).collect();
    Some(benchmark)
}

/// The time within which so many of a hundred calls were answered, milliseconds. `sorted` is sorted and not empty.
fn percentile(sorted: &[u64], hundredths: usize) -> f64 {
    let rank = (sorted.len() * hundredths).div_ceil(100).clamp(1, sorted.len().max(1));
    rounded(sorted.get(rank - 1).copied().unwrap_or_default() as f64 / 1e3)
}

/// Three places after the point: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use model::run::Repeat;

    use super::*;
    use crate::evidence::tests::webhook;

    fn repeat(micros: u64, status: u16) -> Repeat {
        Repeat { sample: "keyword-1".into(), micros, status: Some(status), result_bytes: 80, differences: Vec::new() }
    }

    #[test]
    fn percentiles_are_those_of_the_calls_that_succeeded() {
        let builder = webhook().changed(|run| {
            run.repeats = (1..=20).rev().map(|n| repeat(n * 1_000, 200)).collect();
            run.repeats.push(repeat(900_000, 500));
        });
        let evidence = builder.evidence();
        let benchmark = of(evidence.engine_run().unwrap(), &evidence, &[]).unwrap();
        assert_eq!((benchmark.p50_ms, benchmark.p95_ms, benchmark.max_ms), (10.0, 19.0, 20.0));
        assert_eq!((benchmark.calls_per_second, benchmark.micros.len(), benchmark.ready_ms), (95.238, 20, Some(120)));
        assert_eq!((benchmark.cpu_seconds, benchmark.peak_memory_bytes, benchmark.result_bytes), (0.3, 40 << 20, 80));
        let none = webhook().evidence();
        assert_eq!(of(none.engine_run().unwrap(), &none, &[]), None);
    }

    #[test]
    fn one_call_is_its_own_percentile() {
        assert_eq!((percentile(&[7], 50), percentile(&[7], 95), percentile(&[], 50)), (0.007, 0.007, 0.0));
    }
}
