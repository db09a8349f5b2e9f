fit <- lm(mpg ~ wt + hp + qsec, mtcars)
predict_mpg <- function(cars) predict(fit, cars)
