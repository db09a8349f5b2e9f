# A model of the delay on arrival, fitted when the template loads: once, however
# many workers are forked from it.
sample <- read.csv("data/flights-sample.csv", stringsAsFactors = TRUE)
model <- lm(arr_delay ~ dep_delay + distance + carrier + origin + factor(hour), data = sample)

predict_delay <- function(flights) {
  known <- flights
  known$hour[!known$hour %in% sample$hour] <- sample$hour[1]
  flights$predicted <- unname(predict(model, known))
  flights$late <- cut(flights$predicted, c(-Inf, 0, 15, 60, Inf),
                      labels = c("early", "on time", "late", "very late"))
  flights
}
