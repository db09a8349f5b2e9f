# A model of the delay on arrival. It is fitted when this file is loaded: once, in
# the template from which all workers are forked, so they share it.
flights <- read.csv("../data/flights-sample.csv", stringsAsFactors = TRUE)
model <- lm(arr_delay ~ dep_delay + distance + carrier + origin + factor(hour), data = flights)

# Takes flights and gives them back with the delay that is expected, in minutes.
# An airline, airport or hour that the model has not seen has none.
predict_delay <- function(new) {
  known <- new$carrier %in% levels(flights$carrier) &
    new$origin %in% levels(flights$origin) &
    new$hour %in% flights$hour
  new$predicted <- rep(NA_real_, nrow(new))
  if (any(known)) {
    new$predicted[known] <- unname(predict(model, new[known, ]))
  }
  new
}

# The same, but the minutes alone.
expected_delay <- function(new) {
  predict_delay(new)$predicted
}
