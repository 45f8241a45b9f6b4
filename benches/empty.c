/* The measure for benches/calls.php: a class whose method does nothing, as small as a method in C can be. */

#include "php.h"

ZEND_METHOD(BenchEmpty, nothing)
{
    (void) execute_data;
    (void) return_value;
}

ZEND_BEGIN_ARG_INFO_EX(nothing_arginfo, 0, 0, 0)
ZEND_END_ARG_INFO()

static const zend_function_entry methods[] = {
    ZEND_ME(BenchEmpty, nothing, nothing_arginfo, ZEND_ACC_PUBLIC)
    ZEND_FE_END
};

static PHP_MINIT_FUNCTION(bench_empty)
{
    zend_class_entry class;
    INIT_CLASS_ENTRY(class, "BenchEmpty", methods);
    return zend_register_internal_class(&class) ? SUCCESS : FAILURE;
}

zend_module_entry bench_empty_module_entry = {
    STANDARD_MODULE_HEADER, "bench_empty", NULL, PHP_MINIT(bench_empty), NULL, NULL, NULL, NULL, "1", STANDARD_MODULE_PROPERTIES
};

ZEND_GET_MODULE(bench_empty)
