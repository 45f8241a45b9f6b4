<?php

declare(strict_types=1);

require_once dirname(__DIR__) . '/php-tests/Support/autoload.php';

spl_autoload_register(static function (string $class): void {
    $prefix = 'Benches\\';
    if (str_starts_with($class, $prefix) && is_file($file = __DIR__ . '/' . substr($class, strlen($prefix)) . '.php')) {
        require $file;
    }
});
