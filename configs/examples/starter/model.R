# Sourced once, in the template that the workers are forked from. Load models
# and lookup tables here: the workers share them.
coefficients <- c(intercept = -3.1, dep_delay = 1.01, distance = -0.002)

# Called once for each batch, with a data.frame; returns one.
predict_delay <- function(flights) {
  flights$predicted <- coefficients[["intercept"]] +
    coefficients[["dep_delay"]] * flights$dep_delay +
    coefficients[["distance"]] * flights$distance
  flights
}
