//! Webhook engines: wait for `/ready`, then one `/process` call per sample (engine contract §1).

use std::{net::SocketAddr, time::Duration};

use model::run::{Exchange, Later, Listening, Phase, Ready, Remark, Repeat};
use serde_json::{Map, Value};

use crate::{
    Sample,
    client::{Answer, CallError},
    deadline::millis,
    desk::{Task, essence},
    hook::{Hook, Hooks},
    listening::listening,
    multipart::Form,
    repeat::repeat,
    run::Run,
    said::{Said, Words},
};

/// Characters of a body that go into a report.
const EXCERPT: usize = 2_000;
/// How often one sample is sent again because the engine asks for it.
const MAX_POLLS: usize = 20;
/// Largest answer that is taken as a request to be called again, bytes.
const MAX_POLL_ANSWER: usize = 1 << 20;

/// What came of talking to a webhook engine.
pub(crate) struct Talk {
    pub(crate) ready: Ready,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) ran_out_in: Option<Phase>,
    pub(crate) listening: Option<Listening>,
    pub(crate) repeats: Vec<Repeat>,
}

/// Talks to the engine until every sample has been sent, its process has ended, or the time is over.
pub(crate) async fn talk(run: &mut Run<'_>, hooks: &Hooks) -> Talk {
    let (ready, via) = wait_until_ready(run, &hooks.ready).await;
    let mut talk = Talk { ready, exchanges: Vec::new(), ran_out_in: None, listening: None, repeats: Vec::new() };
    if matches!(talk.ready, Ready::Ready { .. }) {
        talk.ran_out_in = process(run, &hooks.process, &mut talk.exchanges).await;
        if talk.ran_out_in.is_none() {
            talk.repeats = repeat(run, &hooks.process, &talk.exchanges).await;
        }
    } else {
        talk.ran_out_in = run.deadline.is_over().then_some(Phase::Ready);
    }
    if !run.ended.yet() {
        talk.listening = listening(run, &hooks.ready, &talk.ready, via).await;
    }
    talk
}

/// Sends every sample; says in which phase the time ran out, if it did.
async fn process(run: &mut Run<'_>, hook: &Hook, exchanges: &mut Vec<Exchange>) -> Option<Phase> {
    for (index, sample) in run.samples.iter().enumerate() {
        if run.ended.yet() {
            return None;
        }
        if run.deadline.is_over() {
            return Some(Phase::Process);
        }
        let ran_out = send(run, hook, index, sample, exchanges).await;
        if ran_out.is_some() {
            return ran_out;
        }
    }
    None
}

/// Asks until the answer is 200 or 500, the process has ended, or the limit is reached.
pub(crate) async fn wait_until_ready(run: &mut Run<'_>, hook: &Hook) -> (Ready, Option<SocketAddr>) {
    let limit = run.pace.ready_limit;
    let since_start = |run: &Run<'_>| run.deadline.elapsed().saturating_sub(run.started);
    let (mut polls, mut pause, mut last) = (0u32, run.pace.ready_poll_first, String::from("it was not asked"));
    loop {
        let left = run.deadline.at_most(limit.saturating_sub(since_start(run)));
        if left.is_zero() {
            let waited_ms = millis(since_start(run));
            run.journal.say(&format!("not ready after {waited_ms} ms: {last}"));
            return (Ready::NotInTime { waited_ms, last }, None);
        }
        polls += 1;
        let heard = match run.client.get(hook, left.min(run.pace.ready_call)).await {
            Ok(answer) if answer.status == 200 => {
                let after_ms = millis(since_start(run));
                run.journal.say(&format!("ready after {after_ms} ms"));
                return (Ready::Ready { after_ms, polls }, Some(answer.via));
            }
            Ok(answer) if answer.status == 500 => {
                let said = excerpt(&answer.body).lines().next().unwrap_or_default().chars().take(200).collect::<String>();
                run.journal.say(&format!("the engine gave up while it was getting ready: {said}"));
                return (Ready::GaveUp { said }, None);
            }
            Ok(answer) => match answer.location {
                Some(to) => {
                    format!("{}, leads to {}; redirects are not followed", answer.status_line, to.chars().take(200).collect::<String>())
                }
                None => answer.status_line,
            },
            // Cut short by our own limit: what was heard before says more.
            Err(CallError::Timeout) if left < run.pace.ready_call && polls > 1 => last.clone(),
            Err(error) => error.to_string(),
        };
        if heard != last && !heard.starts_with("503") {
            run.journal.say(&format!("not ready yet: {heard}"));
        }
        last = heard;
        if run.ended.within(pause.min(left)).await {
            run.journal.say("the process ended before it was ready");
            return (Ready::ProcessEnded, None);
        }
        pause = (pause * 2).min(run.pace.ready_poll_max);
    }
}

/// Sends one sample, and again as often as the engine asks to be polled; says in which phase the time ran out, if it did.
pub(crate) async fn send(run: &mut Run<'_>, hook: &Hook, index: usize, sample: &Sample, exchanges: &mut Vec<Exchange>) -> Option<Phase> {
    let task = run.desk.open(sample);
    send_as(run, hook, index, sample, &task, exchanges).await
}

/// The same for a task that is open already.
pub(crate) async fn send_as(
    run: &mut Run<'_>,
    hook: &Hook,
    index: usize,
    sample: &Sample,
    task: &Task,
    exchanges: &mut Vec<Exchange>,
) -> Option<Phase> {
    let mut payload = task.payload.clone();
    for _ in 0..=MAX_POLLS {
        let (answer, phase) = attempt(run, hook, Input { index, sample, task, payload: &payload }, exchanges).await;
        let Some(answer) = answer else { return phase };
        match take_answer(run, task, answer).await {
            Taken::Kept => return phase,
            Taken::Later(later) => {
                let late = matches!(later, Later::OutOfTime { .. }).then_some(Phase::Later);
                if let Some(exchange) = exchanges.last_mut() {
                    exchange.later = Some(later);
                }
                return late;
            }
            Taken::Poll { wait, more } => {
                payload = run.desk.payload_with(task, more);
                let wait = run.deadline.at_most(wait.min(run.pace.poll));
                if run.ended.within(wait).await {
                    return None;
                }
            }
        }
    }
    run.journal.say(&format!("{}: not polled any more after {MAX_POLLS} times", sample.id));
    None
}

/// What is sent.
#[derive(Clone, Copy)]
struct Input<'a> {
    index: usize,
    sample: &'a Sample,
    task: &'a Task,
    payload: &'a Value,
}

/// Calls until there is a whole answer 200 or 204, or the attempts are used up; gives the answer if it was 200.
async fn attempt(run: &mut Run<'_>, hook: &Hook, input: Input<'_>, exchanges: &mut Vec<Exchange>) -> (Option<Answer>, Option<Phase>) {
    let sample = input.sample;
    let attempts = if sample.expect_refusal || sample.repeats.is_some() { 1 } else { 1 + run.pace.retries.len() as u32 };
    for attempt in 1..=attempts {
        let (content_type, body) = form(run, input);
        let began = run.deadline.elapsed();
        let result = call(run, hook, &content_type, body, run.deadline.remaining()).await;
        let duration_ms = millis(run.deadline.elapsed().saturating_sub(began));
        let mut exchange = record(sample, attempt, duration_ms, &result, run.pace.pieces);
        if exchange.error.is_some() {
            exchange.process_ended = run.ended.within(run.pace.last_words).await;
        }
        if sample.repeats.is_none() {
            run.journal.say(&summary(&exchange));
        }
        let phase = run.deadline.is_over().then_some(Phase::Process);
        let whole = exchange.error.is_none();
        let status = exchange.status;
        exchanges.push(exchange);
        let last = attempt == attempts || phase.is_some() || run.ended.yet();
        match (result, status) {
            (Ok(answer), Some(200)) if whole || last => return (Some(answer), phase),
            (_, Some(204)) if whole => return (None, phase),
            _ if last => return (None, phase),
            _ => {}
        }
        let pause = run.pace.retries.get(attempt as usize - 1).copied().unwrap_or_default();
        if run.ended.within(run.deadline.at_most(pause)).await {
            return (None, None);
        }
    }
    (None, None)
}

/// Calls the hook; if the process ends meanwhile, what it had already written may still arrive.
async fn call(run: &Run<'_>, hook: &Hook, content_type: &str, body: bytes::Bytes, within: Duration) -> Result<Answer, CallError> {
    let mut ended = run.ended.clone();
    let calling = run.client.post(hook, content_type, body, within);
    tokio::pin!(calling);
    tokio::select! {
        result = &mut calling => result,
        true = ended.within(within) => {
            tokio::time::timeout(run.pace.last_words, calling).await.unwrap_or(Err(CallError::ClosedEarly))
        }
    }
}

/// The form of engine contract §1.3.
fn form(run: &Run<'_>, input: Input<'_>) -> (String, bytes::Bytes) {
    let Input { index, sample, task, payload } = input;
    let desk = &run.desk;
    let mut form = Form::new(&run.boundary);
    if !run.without_chunk && !run.streaming {
        form.file("chunk", &sample.file_name, &sample.mime_type, &sample.bytes);
    }
    let hook = |name: &str| desk.url(&format!("/hooks/{}/{name}", task.hook_key));
    let index = if run.streaming { 0 } else { index };
    let fields = [
        ("chunkMimeType", sample.mime_type.clone()),
        ("cacheURI", desk.url(&task.input_path)),
        ("startOffsetMS", sample.start_ms.to_string()),
        ("endOffsetMS", sample.end_ms.to_string()),
        ("payload", payload.to_string()),
        ("token", task.token.clone()),
        ("veritoneApiBaseUrl", desk.facts.base_url.clone()),
        ("redisETUrl", hook("values")),
        ("heartbeatWebhook", hook("heartbeat")),
        ("resultWebhook", hook("result")),
        ("maxTTL", run.deadline.remaining().as_secs().max(1).to_string()),
        ("chunkContext", format!("{}:{index}", task.id)),
        ("chunkTimestamp", desk.now().as_millisecond().to_string()),
        ("chunk-metadata-index", index.to_string()),
        ("chunk-metadata-groupid", task.job_id.clone()),
        ("chunk-metadata-tdoid", task.tdo_id.clone()),
        ("chunk-metadata-mimetype", sample.mime_type.clone()),
        ("chunk-metadata-startoffsetms", sample.start_ms.to_string()),
        ("chunk-metadata-endoffsetms", sample.end_ms.to_string()),
        ("internalJobId", task.job_id.clone()),
        ("internalTaskId", task.id.clone()),
        // The sandbox makes sure that every image has it and that everybody may write there.
        ("taskTmpDir", "/tmp".to_owned()),
        ("engineDir", "/tmp".to_owned()),
    ];
    for (name, value) in fields {
        form.text(name, &value);
    }
    for (name, size) in [("width", sample.width), ("height", sample.height)] {
        if let Some(size) = size {
            form.text(name, &size.to_string());
        }
    }
    form.finish()
}

fn record(sample: &Sample, attempt: u32, duration_ms: u64, result: &Result<Answer, CallError>, pieces: Duration) -> Exchange {
    let mut exchange = Exchange {
        sample: sample.id.clone(),
        mime_type: sample.mime_type.clone(),
        expect_refusal: sample.expect_refusal,
        attempt,
        duration_ms,
        span_ms: (sample.start_ms, sample.end_ms),
        ..Exchange::default()
    };
    match result {
        Ok(answer) => {
            exchange.status = Some(answer.status);
            exchange.error = answer.broken.as_ref().map(ToString::to_string);
            exchange.content_type = answer.content_type.as_deref().map(|kind| kind.chars().take(200).collect());
            exchange.body_bytes = answer.total;
            exchange.body_excerpt = excerpt(&answer.body);
            exchange.remarks = remarks(answer, pieces);
        }
        Err(error) => exchange.error = Some(error.to_string()),
    }
    exchange
}

fn remarks(answer: &Answer, pieces: Duration) -> Vec<Remark> {
    let old = answer.http10.then_some(Remark::Http10);
    let elsewhere = answer.location.as_ref().map(|to| Remark::Redirect { to: to.chars().take(200).collect() });
    let slow = (answer.broken.is_none() && answer.body_time > pieces).then(|| Remark::Pieces { ms: millis(answer.body_time) });
    [old, elsewhere, slow].into_iter().flatten().collect()
}

fn summary(exchange: &Exchange) -> String {
    let again = if exchange.attempt > 1 { format!(" (attempt {})", exchange.attempt) } else { String::new() };
    let answer = match (exchange.status, &exchange.error) {
        (Some(status), None) => format!("{status}, {} bytes", exchange.body_bytes),
        (Some(status), Some(error)) => format!("{status}, {error}"),
        (None, error) => error.clone().unwrap_or_default(),
    };
    let ended = if exchange.process_ended { "; the process ended" } else { "" };
    format!("/process {}{again}: {answer}, {} ms{ended}", exchange.sample, exchange.duration_ms)
}

/// The beginning of a body as text.
fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..EXCERPT * 4).unwrap_or(body)).chars().take(EXCERPT).collect()
}

/// What became of a 200.
enum Taken {
    /// Its body, if there was one, is a result.
    Kept,
    /// It promised a result for later.
    Later(Later),
    /// It asks to be called again, with more in the payload.
    Poll { wait: Duration, more: Map<String, Value> },
}

/// Keeps a 200's body as a result, or does what it asks for.
async fn take_answer(run: &mut Run<'_>, task: &Task, answer: Answer) -> Taken {
    let said = if is_json(answer.content_type.as_deref(), &answer.body) { Said::read(&answer.body) } else { Said::Nothing };
    if answer.broken.is_none() {
        if let Said::Object(said) = &said
            && answer.body.len() <= MAX_POLL_ANSWER
            && let Some(poll) = polls(said, run.desk.now())
        {
            return poll;
        }
        if promises_more(run.streaming, &said, &answer.body) {
            return Taken::Later(follow(run, task).await);
        }
    }
    if !answer.body.is_empty() {
        let guessed = if matches!(said, Said::Nothing) { "application/octet-stream" } else { "application/json" };
        let content_type = answer.content_type.as_deref().unwrap_or(guessed);
        let cut = answer.total > answer.body.len() as u64 || answer.broken.is_some();
        if !run.desk.add_output(task, "response", content_type, &answer.body.into(), cut) {
            run.journal.say("a result was not kept: this run has as many as it keeps");
        }
    }
    Taken::Kept
}

/// The answer of an engine that has started work elsewhere and wants to be asked again (engine contract §1.3).
fn polls(words: &Words, now: jiff::Timestamp) -> Option<Taken> {
    if words.kind.as_ref()?.as_str()? != "schedule_poll_task" {
        return None;
    }
    let next: Option<jiff::Timestamp> = words.next_poll_time.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok());
    let wait = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok()).unwrap_or_default();
    Some(Taken::Poll { wait, more: words.task_payload.as_ref().and_then(Value::as_object).cloned().unwrap_or_default() })
}

fn is_json(content_type: Option<&str>, body: &[u8]) -> bool {
    match content_type.map(essence).as_deref() {
        None | Some("") => body.first() == Some(&b'{'),
        Some(essence) => essence == "application/json" || essence.ends_with("+json") || essence == "text/json",
    }
}

/// Whether an answer says "the result comes later": an estimate, or, from an engine for streams, anything that holds no result.
fn promises_more(streaming: bool, said: &Said, body: &[u8]) -> bool {
    match said {
        Said::Object(words) if words.estimate.as_ref().is_some_and(Value::is_number) => true,
        Said::Object(words) => streaming && !words.has_result,
        Said::Other => streaming,
        Said::Nothing => streaming && body.is_empty(),
    }
}

/// Waits for the hooks. A chunk is done with its first result; a stream with the heartbeat that says so.
async fn follow(run: &mut Run<'_>, task: &Task) -> Later {
    let since = std::time::Instant::now();
    let passed = || millis(since.elapsed());
    let mut progress = task.watch();
    if !task.is_apart() {
        run.journal.say(&format!("{}: waiting for its hooks", task.sample));
    }
    loop {
        let now = *progress.borrow_and_update();
        match now.ended {
            Some(true) => return Later::Done { after_ms: passed() },
            Some(false) => return Later::Failed { after_ms: passed() },
            None if now.results > 0 && !run.streaming => return Later::Done { after_ms: passed() },
            None => {}
        }
        if run.ended.yet() {
            return Later::ProcessEnded;
        }
        let silence = now.heard.max(since).elapsed();
        let left = run.deadline.at_most(run.pace.silence.saturating_sub(silence));
        if run.deadline.is_over() {
            return Later::OutOfTime { waited_ms: passed() };
        }
        if left.is_zero() {
            return Later::Silent { silent_ms: millis(silence) };
        }
        let mut ended = run.ended.clone();
        tokio::select! {
            _ = progress.changed() => {}
            _ = ended.within(left) => {
                // Its last call may still be on its way through our own server.
                let _ = tokio::time::timeout(run.deadline.at_most(run.pace.last_words), progress.changed()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_or_a_stream_engines_word_without_a_result_promises_more() {
        let promises = |streaming: bool, body: &str| promises_more(streaming, &Said::read(body.as_bytes()), body.as_bytes());
        assert!(promises(false, r#"{"estimatedProcessingTimeInSeconds": 3.5}"#));
        assert!(!promises(false, r#"{"estimatedProcessingTimeInSeconds": "soon"}"#));
        assert!(!promises(false, r#"{"status": "ok"}"#) && promises(true, r#"{"status": "ok"}"#));
        assert!(!promises(false, "") && promises(true, ""));
        assert!(promises(true, "[1]") && promises(true, "\"ok\""));
        for result in [
            r#"{"object": []}"#,
            r#" {"validationContracts": ["text"]}"#,
            r#"{"gps": 1, "type": "x"}"#,
            r#"{"language": null}"#,
            r#"{"object": [], "object": []}"#,
            "RIFF",
            "{",
        ] {
            assert!(!promises(true, result), "{result}");
        }
    }

    #[test]
    fn a_polling_engine_says_when_and_with_what() {
        let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let polls = |body: &str| match Said::read(body.as_bytes()) {
            Said::Object(words) => polls(&words, now),
            Said::Nothing | Said::Other => None,
        };
        let body = r#"{"type": "schedule_poll_task", "nextPollTimeUTC": "2026-01-02T03:04:09Z", "taskPayload": {"step": 2}}"#;
        let Some(Taken::Poll { wait, more }) = polls(body) else { panic!("it polls") };
        assert_eq!((wait, more.get("step")), (Duration::from_secs(4), Some(&Value::from(2))));
        assert!(polls(r#"{"type": "keyword", "object": []}"#).is_none() && polls("[]").is_none());
    }

    #[test]
    fn json_is_known_by_its_type_or_its_first_byte() {
        assert!(is_json(Some("application/vnd.veritone.aion+json; v=1"), b""));
        assert!(is_json(None, b"{}"));
        assert!(!is_json(Some("text/plain"), b"{}"));
        assert!(!is_json(None, b"RIFF"));
    }

    #[test]
    fn excerpts_are_cut_at_characters() {
        assert_eq!(excerpt("é".repeat(5_000).as_bytes()).chars().count(), EXCERPT);
        assert_eq!(excerpt(&[0xff, b'a']), "\u{fffd}a");
    }
}
