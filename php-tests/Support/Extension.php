<?php

declare(strict_types=1);

namespace Tests\Support;

/** The extension that this process has loaded, and how child processes get the very same one. */
final class Extension
{
    public const NAME = 'resilient_redis';

    /** The file that is mapped into this process, wherever it came from. */
    public static function path(): string
    {
        foreach (file('/proc/self/maps') ?: [] as $mapping) {
            if (preg_match('~ (/\S.*' . self::NAME . '\.so)$~', rtrim($mapping), $found) === 1) {
                return $found[1];
            }
        }

        throw new \RuntimeException('the extension ' . self::NAME . ' is not loaded, or its file has been replaced');
    }

    /**
     * What this process was told about assertions and the JIT, for the children to run under the same: the suite may be
     * run under either.
     *
     * @return array<string, string>
     */
    public static function settings(): array
    {
        $settings = ['zend.assertions' => (string) ini_get('zend.assertions')];
        if (ini_get('opcache.enable_cli') && ini_get('opcache.jit')) {
            foreach (['opcache.enable_cli', 'opcache.jit', 'opcache.jit_buffer_size'] as $name) {
                $settings[$name] = (string) ini_get($name);
            }
        }

        return $settings;
    }

    /**
     * A command line for PHP with the extension and without the machine's ini files.
     *
     * @param array<string, string> $ini
     * @return list<string>
     */
    public static function php(string $script, array $ini = [], string ...$arguments): array
    {
        $command = [PHP_BINARY, '-n', '-d', 'extension=' . self::path()];
        $settings = $ini + self::settings();
        if (isset($settings['opcache.enable_cli'])) {
            array_push($command, '-d', 'zend_extension=opcache');
        }
        foreach ($settings as $name => $value) {
            array_push($command, '-d', "$name=$value");
        }

        return [...$command, $script, ...array_values($arguments)];
    }
}
