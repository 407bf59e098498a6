module first_steps

go 1.19
