"""The stages of an event: enrich, detect, measure, sample, buffer; clock, lifecycle, rules and alerts."""
