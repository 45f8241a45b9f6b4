<?php

declare(strict_types=1);

namespace Tests\Support;

/** A php-fpm of its own: the extension loaded, a fixed number of workers, a unix socket in a scratch folder. */
final class FpmMaster
{
    private readonly Process $process;

    private readonly string $folder;

    /** @param array<string, string> $ini */
    private function __construct(private readonly string $scripts, int $workers, array $ini)
    {
        $this->folder = Scratch::folder('fpm');
        $user = posix_getuid() === 0 ? "user = root\ngroup = root\n" : '';
        file_put_contents("$this->folder/fpm.conf", <<<CONF
            [global]
            error_log = $this->folder/log
            log_level = notice
            daemonize = no
            [www]
            {$user}listen = $this->folder/socket
            pm = static
            pm.max_children = $workers
            pm.max_requests = 0
            catch_workers_output = yes
            clear_env = no

            CONF);
        $command = [self::binary(), '-n', '-F', '-y', "$this->folder/fpm.conf"];
        if (posix_getuid() === 0) {
            $command[] = '-R';
        }
        $directives = $ini + ['display_errors' => '1', 'html_errors' => '0', 'opcache.enable' => '1'];
        if (is_file(ini_get('extension_dir') . '/opcache.so')) {
            array_push($command, '-d', 'zend_extension=opcache');
        }
        array_push($command, '-d', 'extension=' . Extension::path());
        foreach ($directives as $name => $value) {
            array_push($command, '-d', "$name=$value");
        }
        $this->process = new Process($command, [], SIGTERM);
        Wait::until('php-fpm takes requests', function (): bool {
            if (!$this->process->isRunning()) {
                throw new \RuntimeException("php-fpm did not start:\n" . $this->process->errors() . $this->log());
            }

            return str_contains($this->log(), 'ready to handle connections');
        });
    }

    /**
     * @param string $scripts the folder of the PHP files that are requested
     * @param array<string, string> $ini
     */
    public static function start(string $scripts, int $workers = 1, array $ini = []): self
    {
        return new self($scripts, $workers, $ini);
    }

    /** @param array<string, string|int> $query */
    public function request(string $script, array $query = []): FpmResponse
    {
        return $this->send($script, $query)->response();
    }

    /** @param array<string, string|int> $query */
    public function send(string $script, array $query = []): FastCgi
    {
        return new FastCgi("$this->folder/socket", "$this->scripts/$script", http_build_query($query));
    }

    public function log(): string
    {
        return (string) @file_get_contents("$this->folder/log");
    }

    /** What the master reported about workers that did not end by themselves. */
    public function crashes(): string
    {
        return implode("\n", preg_grep('/exited on signal/', explode("\n", $this->log())) ?: []);
    }

    public function stop(): void
    {
        $this->process->stop();
    }

    private static function binary(): string
    {
        $version = PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
        foreach (["/usr/sbin/php-fpm$version", "/usr/local/sbin/php-fpm$version", '/usr/sbin/php-fpm', '/usr/local/sbin/php-fpm'] as $path) {
            if (is_executable($path)) {
                return $path;
            }
        }
        foreach (explode(':', (string) getenv('PATH')) as $folder) {
            foreach (["php-fpm$version", 'php-fpm'] as $name) {
                if (is_executable("$folder/$name")) {
                    return "$folder/$name";
                }
            }
        }

        throw new \RuntimeException("php-fpm of PHP $version was not found");
    }
}
