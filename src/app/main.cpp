#include "app/app.h"

int main(int argc, char** argv) { return holdfast::app::run({argv, argv + argc}); }
