#* @get /more
function() list(wd = basename(getwd()))
