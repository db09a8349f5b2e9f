package keeper

const helperEnv = "RPIPE_KEEPER_TEST_HELPER"

func help(string) int { return 0 }
