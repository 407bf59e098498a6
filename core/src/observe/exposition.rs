//! Metrics in the text format that Prometheus reads (version 0.0.4), and most other collectors too.
//!
//! Called by `db`. Promises: each metric has its HELP and TYPE lines once, with all of its samples behind them; names and label values
//! are spelled as the format wants them.

use super::HistogramSummary;
use std::fmt::Write;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// It only rises, from 0 at opening on.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Quantiles, a sum and a count.
    Summary,
}

/// The text as it is put together.
#[derive(Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// A metric and its samples, each with its labels.
    pub fn metric<'a>(
        &mut self,
        name: &str,
        kind: MetricType,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, f64)>,
    ) {
        self.head(name, kind, help);
        for (labels, value) in samples {
            self.sample(name, &labels, value);
        }
    }

    /// A metric with one sample.
    pub fn single(&mut self, name: &str, kind: MetricType, help: &str, value: u64) {
        self.metric(name, kind, help, [(Vec::new(), value as f64)]);
    }

    /// A histogram of nanoseconds, as a summary in seconds.
    pub fn durations(&mut self, name: &str, help: &str, summary: &HistogramSummary) {
        self.head(name, MetricType::Summary, help);
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        for (quantile, nanos) in
            [("0.5", summary.p50), ("0.99", summary.p99), ("0.999", summary.p999), ("1", summary.max)]
        {
            self.sample(name, &[("quantile", quantile)], seconds(nanos));
        }
        self.sample(&format!("{name}_sum"), &[], seconds(summary.sum));
        self.sample(&format!("{name}_count"), &[], summary.count as f64);
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.text
    }

    fn head(&mut self, name: &str, kind: MetricType, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let kind = match kind {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Summary => "summary",
        };
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        let mut lead = '{';
        for (label, text) in labels {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{lead}{label}=\"{text}\"");
            lead = ',';
        }
        if lead == ',' {
            self.text.push('}');
        }
        // Whole numbers without a point; a text of Rust's for a finite number is one of the format's.
        let _ = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_spelled_as_the_format_wants_them() {
        let mut exposition = Exposition::default();
        exposition.single("a_total", MetricType::Counter, "One\nline, with \\.", 1 << 40);
        exposition.metric("b", MetricType::Gauge, "Shares.", [(vec![("x", "q\"\\\n"), ("y", "z")], 0.25)]);
        let summary =
            HistogramSummary { count: 2, sum: 1_500_000_000, p50: 1, p99: 2, p999: 3, max: 1_000_000_000, one_in: 1 };
        exposition.durations("c_seconds", "Times.", &summary);
        let expected = "\
# HELP a_total One\\nline, with \\\\.
# TYPE a_total counter
a_total 1099511627776
# HELP b Shares.
# TYPE b gauge
b{x=\"q\\\"\\\\\\n\",y=\"z\"} 0.25
# HELP c_seconds Times.
# TYPE c_seconds summary
c_seconds{quantile=\"0.5\"} 0.000000001
c_seconds{quantile=\"0.99\"} 0.000000002
c_seconds{quantile=\"0.999\"} 0.000000003
c_seconds{quantile=\"1\"} 1
c_seconds_sum 1.5
c_seconds_count 2
";
        assert_eq!(exposition.finish(), expected);
    }
}
